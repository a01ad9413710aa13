"""A little certificate authority on P-256, made on the fly, for the lab's TLS servers and its time-stamp authority."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from linewitness.pki import certificate_builder, general_name, key_usage, write_key


class Authority:
    """A new root, and the folder for its files: `ca.pem`, and NAME.pem and NAME.key of each certificate issued."""

    def __init__(self, folder: Path, common_name: str = "linewitness lab CA") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = certificate_builder(self._name, self._name, self._key.public_key(), _now())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(key_usage(sign=True), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256())
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "ca.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue_server(self, name: str, hosts: tuple[str, ...]) -> tuple[Path, Path]:
        """Certificate and key files of a TLS server known as each of `hosts` (addresses or names)."""
        return self._issue(name, ExtendedKeyUsageOID.SERVER_AUTH, critical=False, hosts=hosts)

    def issue_timestamping(self, name: str) -> tuple[Path, Path]:
        """Certificate and key files of a time-stamp authority (RFC 3161 2.3: critical, timeStamping only)."""
        return self._issue(name, ExtendedKeyUsageOID.TIME_STAMPING, critical=True)

    def _issue(
        self, name: str, purpose: x509.ObjectIdentifier, *, critical: bool, hosts: tuple[str, ...] = ()
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = certificate_builder(subject, self._name, key.public_key(), _now())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(key_usage(sign=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=critical)
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer_key, critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        certificate_path, key_path = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_key(key_path, key)
        return certificate_path, key_path


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
