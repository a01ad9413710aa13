"""The broker's certificate and the authority that witnesses trust: EC P-256, made once, kept in the keys folder.

A private authority of ours signs one server certificate with the names and addresses under which the broker is found.
Witnesses get ca.der and check the name, so that nobody else's server can take their batches or read their password.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from linewitness import config
from linewitness.errors import CannotDo, cannot_access

YEARS = 20  # a board can't be visited each time a certificate ends; the key is the fleet's own
_ALWAYS = ("127.0.0.1", "localhost")


def make_authority(keys: Path, name: str, now: datetime.datetime) -> None:
    """Write ca.key, ca.pem and ca.der."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"linewitness {name}")])
    builder = certificate_builder(subject, subject, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(key_usage(sign=True), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    write_key(keys / "ca.key", key)
    config.write_octets(keys / "ca.pem", certificate.public_bytes(Encoding.PEM))
    config.write_octets(keys / "ca.der", certificate.public_bytes(Encoding.DER))


def make_broker_certificate(keys: Path, hosts: Sequence[str], now: datetime.datetime) -> None:
    """Write broker.key and broker.pem for the hosts given, beside localhost. Raises CannotDo without the authority."""
    try:
        ca_key = load_pem_private_key((keys / "ca.key").read_bytes(), None)
        ca = x509.load_pem_x509_certificate((keys / "ca.pem").read_bytes())
    except OSError as e:
        raise cannot_access(e, keys, "restore ca.key and ca.pem from their backup") from e
    except (ValueError, TypeError) as e:
        raise CannotDo("ca.key and ca.pem are not a key and a certificate in PEM", str(keys), "restore both") from e
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise CannotDo("not an EC key", str(keys / "ca.key"), "restore it from its backup")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0] if hosts else "localhost")])
    builder = certificate_builder(subject, ca.subject, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    names = [general_name(host) for host in dict.fromkeys((*hosts, *_ALWAYS))]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    write_key(keys / "broker.key", key)
    config.write_octets(keys / "broker.pem", builder.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))


def certified_hosts(keys: Path) -> list[str]:
    """Return the names and addresses in the broker's certificate. Raises CannotDo for what is none."""
    path = keys / "broker.pem"
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as e:
        hint = "restore it, or remove it and repeat linewitness init with every --host"
        raise CannotDo("not a certificate in PEM", str(path), hint) from e
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def certificate_builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    """Return what every certificate of ours begins with."""
    # A day back: a board whose clock is a little behind must still find it valid.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def key_usage(*, sign: bool) -> x509.KeyUsage:
    """Return the usage of an authority's key (sign: certificates and lists), or of a key that it certifies."""
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def general_name(host: str) -> x509.GeneralName:
    """Return an address or a DNS name as a certificate names it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key as PKCS8 PEM, the owner's alone."""
    octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    config.write_octets(path, octets, secret=True)
