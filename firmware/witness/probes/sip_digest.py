"""Digest authentication of SIP requests (RFC 3261 22, RFC 7616, RFC 8760): a challenge in, an Authorization out.

The server's order is its preference: the first challenge that we can answer is (RFC 8760 2.4). We can with SHA-256, and
with MD5 where the port has it; qop auth or none. The digest-uri is the Request-URI.
"""

import hashlib

CHALLENGES = {401: ("www-authenticate", "Authorization"), 407: ("proxy-authenticate", "Proxy-Authorization")}


def hash_of(algorithm: str):
    """Return the function text -> hex of an algorithm, None for one that this port has not."""
    kind = {"MD5": "md5", "SHA-256": "sha256"}.get(algorithm.upper())
    make = getattr(hashlib, kind, None) if kind else None
    if make is None:
        return None
    return lambda text: make(text.encode()).digest().hex()


def fields_of(challenge: str) -> dict[str, str]:
    """Return the parameters of a Digest challenge by their names in small letters; empty for another scheme."""
    scheme, _, rest = challenge.strip().partition(" ")
    fields: dict[str, str] = {}
    if scheme.lower() != "digest":
        return fields
    while "=" in rest:
        name, _, rest = rest.partition("=")
        rest = rest.strip()
        if rest.startswith('"'):
            value = ""
            i = 1
            while i < len(rest) and rest[i] != '"':
                i += rest[i] == "\\"
                value += rest[i : i + 1]
                i += 1
            rest = rest[i + 1 :]
        else:
            value = rest.split(",", 1)[0].strip()
            rest = rest[len(value) :]
        fields[name.strip(" ,\t").lower()] = value
        rest = rest.partition(",")[2]
    return fields


def response_to(fields: dict[str, str], account: tuple, method: str, uri: str, nc: str, cnonce: str) -> str:
    """Return the response (RFC 7616 3.4.1) to a challenge that we can answer, for (user, password)."""
    digest = hash_of(fields.get("algorithm", "MD5"))
    if digest is None:
        raise ValueError("no such hash on this board")
    secret = digest("%s:%s:%s" % (account[0], fields["realm"], account[1]))
    request = digest("%s:%s" % (method, uri))
    if "qop" not in fields:
        return digest("%s:%s:%s" % (secret, fields["nonce"], request))
    return digest("%s:%s:%s:%s:auth:%s" % (secret, fields["nonce"], nc, cnonce, request))


class Credentials:
    """One account; secret is "user:password". Remembers the newest challenge so that the next request carries its
    answer.
    """

    def __init__(self, secret: str, urandom) -> None:
        self.user, _, self._password = secret.partition(":")
        self._urandom = urandom
        self._challenges: dict[str, dict[str, str]] = {}  # name of the answering header -> fields
        self._count = 0

    def take(self, response) -> bool:
        """Take the challenge of a 401 or 407; return whether it is worth asking again.

        It is not where none of its challenges can be answered, and where our answer was refused (the nonce was not
        stale): a wrong password is not tried twice.
        """
        asking, answering = CHALLENGES[response.status]
        refused = self._challenges.pop(answering, None)
        for name, value in response.headers:
            if name != asking:
                continue
            fields = fields_of(value)
            known = "realm" in fields and "nonce" in fields and hash_of(fields.get("algorithm", "MD5")) is not None
            if not known or ("qop" in fields and "auth" not in [q.strip() for q in fields["qop"].split(",")]):
                continue
            self._challenges[answering] = fields
            self._count = 0
            return refused is None or fields.get("stale", "").lower() == "true"
        return False

    def headers(self, method: str, uri: str) -> list:
        """Return the answers to the challenges known, for a request of this method and Request-URI."""
        found = []
        for name, fields in self._challenges.items():
            self._count += 1
            nc, cnonce = "%08x" % self._count, self._urandom(4).hex()
            response = response_to(fields, (self.user, self._password), method, uri, nc, cnonce)
            text = 'Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=%s' % (
                self.user, fields["realm"], fields["nonce"], uri, response, fields.get("algorithm", "MD5"),
            )  # fmt: skip
            if "qop" in fields:
                text += ', qop=auth, nc=%s, cnonce="%s"' % (nc, cnonce)
            if "opaque" in fields:
                text += ', opaque="%s"' % fields["opaque"]
            found.append((name, text))
        return found
