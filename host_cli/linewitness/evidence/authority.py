"""Asking a timestamp authority for a timestamp (RFC 3161): over HTTP (section 3.4), or a test authority run by openssl.

    https://tsa.example/path   POST of the request, reply application/timestamp-reply
    openssl:DIR                a test authority of our own in DIR, made at first use: for demonstrations and tests; its
                               root is DIR/root.pem, and every report calls its timestamps worthless to others

The reply is read and checked before it is handed back: granted, over our imprint, with our nonce, and, where the root
is known, signed under it.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

from linewitness.errors import CannotDo, Refused, UsageProblem, cannot_access
from linewitness.evidence.timestamp import TEST_AUTHORITY, BadTimestamp, check_stamp, read_stamp

TIMEOUT_S = 20
REPLY_MAX_OCTETS = 1 << 20
OPENSSL = "openssl:"

_CONFIG = f"""\
[req]
distinguished_name = root_name
prompt = no
[root_name]
CN = {TEST_AUTHORITY} root
[signer]
distinguished_name = signer_name
prompt = no
[signer_name]
CN = {TEST_AUTHORITY}
[root_extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signer_extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = test
[test]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.32473.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""
# No `certs` in [test]: the reply then holds the signer's certificate alone, and its SET can't be out of DER order.


def request_timestamp(where: str, octets: bytes, root_pem: bytes | None = None) -> bytes:
    """Return the TimeStampResp over SHA-256 of octets from the authority at where.

    Raises CannotDo where it can't be had, Refused where the reply does not hold, UsageProblem for another scheme.
    """
    builder = TimestampRequestBuilder().data(octets).hash_algorithm(HashAlgorithm.SHA256)
    request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
    if where.startswith(OPENSSL):
        folder = Path(where.removeprefix(OPENSSL))
        response = _ask_openssl(folder, request.as_bytes())
        root_pem = root_pem or (folder / "root.pem").read_bytes()
    elif where.startswith(("http://", "https://")):
        response = _post(where, request.as_bytes())
    else:
        what = f"no timestamp authority of this kind: {where!r}"
        raise UsageProblem(what, "timestamps: url", "https://... or openssl:DIR")
    imprint = hashlib.sha256(octets).digest()
    try:
        stamp = read_stamp(response) if root_pem is None else check_stamp(response, imprint, root_pem)
    except BadTimestamp as e:
        raise Refused(str(e), where, "another authority; its root in fleet.toml: timestamps: root") from e
    if stamp.imprint != imprint or decode_timestamp_response(response).tst_info.nonce != request.nonce:
        raise Refused("the reply is not to our request", where, "another authority")
    return response


def root_of(where: str) -> Path | None:
    """Return the file of a test authority's root, None for an authority over HTTP."""
    return Path(where.removeprefix(OPENSSL)) / "root.pem" if where.startswith(OPENSSL) else None


def _post(url: str, request: bytes) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "User-Agent": "linewitness"}
    asked = urllib.request.Request(url, data=request, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as reply:
            content: bytes = reply.read(REPLY_MAX_OCTETS)
    except urllib.error.HTTPError as e:
        raise CannotDo(f"the timestamp authority answered {e.code} {e.reason}", url, "another authority") from e
    except (urllib.error.URLError, TimeoutError, ConnectionError) as e:
        reason = getattr(e, "reason", e)
        raise CannotDo(f"no timestamp: {reason}", url, "again later; nothing is lost meanwhile") from e
    return content


def _ask_openssl(folder: Path, request: bytes) -> bytes:
    make_test_authority(folder)
    with tempfile.TemporaryDirectory(prefix="linewitness-tsa-") as name:
        query, reply = Path(name) / "query.tsq", Path(name) / "reply.tsr"
        query.write_bytes(request)
        _openssl(folder, "ts", "-reply", "-queryfile", str(query), "-config", "openssl.cnf", "-out", str(reply))
        return reply.read_bytes()


def make_test_authority(folder: Path) -> None:
    """Make a P-256 root and a timestamp signer in folder, unless they are there. Raises CannotDo without openssl."""
    if (folder / "tsa.pem").exists():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "openssl.cnf").write_text(_CONFIG)
        (folder / "serial").write_text("01\n")
    except OSError as e:
        raise cannot_access(e, folder) from e
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "openssl.cnf")
    _openssl(folder, "req", "-x509", *new_key, "-extensions", "root_extensions", "-keyout", "root.key",
             "-out", "root.pem", "-days", "3650")  # fmt: skip
    _openssl(folder, "req", "-new", *new_key, "-section", "signer", "-keyout", "tsa.key", "-out", "tsa.csr")
    _openssl(folder, "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
             "-out", "tsa.pem", "-days", "3650", "-extfile", "openssl.cnf", "-extensions",
             "signer_extensions")  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(
            ["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError as e:
        raise CannotDo("openssl is not installed", str(folder), "install it, or an authority over HTTP") from e
    except subprocess.TimeoutExpired as e:
        raise CannotDo("openssl did not answer", str(folder), "again") from e
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise CannotDo(f"openssl {arguments[0]}: {last[0]}", str(folder), "remove the folder to make it anew")
