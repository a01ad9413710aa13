"""When an X.509 certificate ends, read from its DER (RFC 5280 4.1). Octets in, a number out."""

DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
UTC_TIME, GENERALIZED_TIME, SEQUENCE = 0x17, 0x18, 0x30


def _element(octets: bytes, at: int) -> tuple[int, int, int]:
    """Return (tag, where the content begins, where it ends) of the element at `at`. Raises IndexError."""
    tag, length = octets[at], octets[at + 1]
    at += 2
    if length & 0x80:
        n = length & 0x7F
        length = 0
        for octet in octets[at : at + n]:
            length = length << 8 | octet
        at += n
    return tag, at, at + length


def not_after_s(certificate: bytes) -> int:
    """Return the end of its validity in seconds since 1970, 0 for one that can't be read."""
    try:
        at = _element(certificate, _element(certificate, 0)[1])[1]  # into Certificate, into tbsCertificate
        if certificate[at] == 0xA0:
            at = _element(certificate, at)[2]  # version
        for _ in range(3):  # serialNumber, signature, issuer
            at = _element(certificate, at)[2]
        tag, at, _ = _element(certificate, at)
        if tag != SEQUENCE:
            return 0
        tag, begin, end = _element(certificate, _element(certificate, at)[2])
        return _seconds(tag, certificate[begin:end].decode())
    except (IndexError, ValueError):
        return 0


def _seconds(tag: int, text: str) -> int:
    """Return a UTCTime (YYMMDDHHMMSSZ) or GeneralizedTime (four digits of year) in seconds since 1970."""
    if tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text  # 4.1.2.5.1
    elif tag != GENERALIZED_TIME:
        return 0
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    before = year - 1
    days = 365 * (year - 1970) + before // 4 - before // 100 + before // 400 - 477
    days += DAYS_BEFORE_MONTH[month - 1] + day - 1
    if month > 2 and year % 4 == 0 and (year % 100 or year % 400 == 0):
        days += 1
    return max(0, days * 86_400 + int(text[8:10]) * 3600 + int(text[10:12]) * 60 + int(text[12:14]))
