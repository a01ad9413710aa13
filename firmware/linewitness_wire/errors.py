"""Why octets were refused. One class per thing a reader could do differently.

WireError
 |- Truncated         the octets end before the item does
 |- TrailingOctets    octets follow the item
 |- NotCanonical      another spelling of the same value (RFC 8949 4.2.1 asks for one)
 |- DuplicateKey      a map names a key twice
 |- WrongType         a value of another type than the field's
 |- OutOfRange        a value outside the field's range
 |- UnknownField      a key, kind or code that this version does not know
 |- UnknownVersion    a format version that this code does not know
 |- WrongKey          the kid is not that of the key that should have signed
 |- BadSignature      the signature is not that of these octets under this key and place
 |- WrongBody         the body is not the one that the header names
 |- BadFrame          an acknowledgement or command whose authentication fails
 `- ChainError        the batch does not follow the one before
     |- Gap           a sequence number was left out
     |- Fork          two different batches bear one sequence number, or name another predecessor
     `- Backwards     an earlier sequence number, boot or time after a later one
"""


class WireError(ValueError):
    """Octets that are not a valid record; the message says what was wanted and what was got."""


class Truncated(WireError):
    pass


class TrailingOctets(WireError):
    pass


class NotCanonical(WireError):
    pass


class DuplicateKey(WireError):
    pass


class WrongType(WireError):
    pass


class OutOfRange(WireError):
    pass


class UnknownField(WireError):
    pass


class UnknownVersion(WireError):
    pass


class WrongKey(WireError):
    pass


class BadSignature(WireError):
    pass


class WrongBody(WireError):
    pass


class BadFrame(WireError):
    pass


class ChainError(WireError):
    pass


class Gap(ChainError):
    pass


class Fork(ChainError):
    pass


class Backwards(ChainError):
    pass
