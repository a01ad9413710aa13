"""RFC 3161 timestamps, read and checked offline: octets in, a time out. The one module that knows rfc3161-client."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

TEST_AUTHORITY = "linewitness test authority"
"""Common name of the authority that `openssl:DIR` makes: a timestamp from it proves nothing to anyone else."""

ACCURACY_WHEN_UNSTATED_US = 1_000_000


class BadTimestamp(ValueError):
    """The response is not a granted timestamp of this imprint by an authority under the root."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a response says: genTime and accuracy in microseconds, the imprint, and whether a test authority signed."""

    gen_time_us: int
    accuracy_us: int
    imprint: bytes
    is_test: bool

    @property
    def earliest_us(self) -> int:
        """The authority signed at or after this."""
        return self.gen_time_us - self.accuracy_us

    @property
    def latest_us(self) -> int:
        """The authority signed before this: genTime is often whole seconds, so one second more than the accuracy."""
        return self.gen_time_us + self.accuracy_us + 1_000_000


def read_stamp(octets: bytes) -> Stamp:
    """Return what a TimeStampResp says, without checking who signed it. Raises BadTimestamp."""
    response = _decode(octets)
    if response.status != 0:
        raise BadTimestamp(f"timestamp: status {response.status}, wanted 0 (granted)")
    try:
        since_1970 = response.tst_info.gen_time - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        return Stamp(
            since_1970 // datetime.timedelta(microseconds=1),
            _accuracy_us(response),
            bytes(response.tst_info.message_imprint.message),
            any(_is_test(certificate) for certificate in response.signed_data.certificates),
        )
    except ValueError as e:
        raise BadTimestamp(f"timestamp: {str(e)[:200]}") from e


def authority_of(octets: bytes) -> str:
    """Return who vouches for a TimeStampResp: the issuer of its signer's certificate, and of that the key.

    It stays when the authority changes its signer, and differs between two test authorities of one name. Raises
    BadTimestamp.
    """
    try:
        known = [x509.load_der_x509_certificate(c) for c in _decode(octets).signed_data.certificates]
        signer = next(c for c in known if _stamps(c))
        issuer = signer.issuer.rfc4514_string()
    except (ValueError, StopIteration) as e:
        raise BadTimestamp("timestamp: no signer's certificate in it") from e
    try:
        key = signer.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        key = None
    return issuer if key is None else f"{issuer} ({key.hex()[:16]})"


def _stamps(certificate: x509.Certificate) -> bool:
    """Return whether a certificate is for timestamping (RFC 3161 2.3)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.TIME_STAMPING in usage


def check_stamp(octets: bytes, imprint: bytes, root_pem: bytes) -> Stamp:
    """Return the Stamp of a response over imprint (SHA-256) whose chain ends at a root. Raises BadTimestamp."""
    response = _decode(octets)
    builder = VerifierBuilder()
    for root in read_roots(root_pem):
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify(response, imprint)
    except (VerificationError, ValueError) as e:
        reason = str(e).splitlines()[0].partition(": ErrorStack")[0][:200]  # OpenSSL's own words name its source files
        raise BadTimestamp(f"timestamp: not of this root, or altered: {reason}") from e
    return read_stamp(octets)


def read_roots(pem: bytes) -> Sequence[x509.Certificate]:
    """Return the certificates of a PEM file, one at least. Raises BadTimestamp."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as e:
        raise BadTimestamp("root: not a certificate in PEM") from e


def _decode(octets: bytes) -> TimeStampResponse:
    try:
        return decode_timestamp_response(octets)
    except ValueError as e:
        raise BadTimestamp("timestamp: not a TimeStampResp in DER (RFC 3161 2.4.2)") from e


def _accuracy_us(response: TimeStampResponse) -> int:
    accuracy = response.tst_info.accuracy
    if accuracy is None:
        return ACCURACY_WHEN_UNSTATED_US
    return (accuracy.seconds or 0) * 1_000_000 + (accuracy.millis or 0) * 1_000 + (accuracy.micros or 0)


def _is_test(certificate: bytes) -> bool:
    names = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return any(name.value == TEST_AUTHORITY for name in names)
