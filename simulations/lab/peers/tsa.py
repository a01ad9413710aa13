"""A time-stamp authority (RFC 3161) run by `openssl ts`, over HTTP (section 3.4).

POST a TimeStampReq anywhere, get a TimeStampResp; GET /ca.pem for its root. Its chain is root and signer only, and the
reply carries the signer's certificate alone: a SET of one is always sorted, while `openssl ts` puts more certificates
in an order that strict DER decoders refuse. The time is this machine's.
"""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from simulations.lab.certificates import Authority
from simulations.lab.peers.http import HttpPeer, HttpSettings, Response
from simulations.lab.peers.peer import PeerError

POLICY = "1.3.6.1.4.1.32473.1"  # under the enterprise number for documentation, RFC 5612

_CONFIG = """
[tsa]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {certificate}
signer_key = {key}
signer_digest = sha256
default_policy = {policy}
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class TimestampAuthority(HttpPeer[HttpSettings]):
    """Makes a new root, key and serial number in `folder`, or in a temporary one; `root` is the file for verifiers."""

    name = "tsa"

    def __init__(self, folder: Path | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(HttpSettings(), host, port)
        openssl = shutil.which("openssl")
        if openssl is None:
            raise PeerError("the time-stamp authority needs openssl, which is not on PATH; try installing openssl")
        self._openssl = openssl
        self._temporary = tempfile.TemporaryDirectory(prefix="lwtsa") if folder is None else None
        self._folder = folder or Path(self._temporary.name if self._temporary else "")
        authority = Authority(self._folder, "linewitness lab timestamp CA")
        certificate, key = authority.issue_timestamping("tsa")
        self.root = authority.path
        self._config = self._folder / "tsa.cnf"
        words = {"folder": self._folder, "certificate": certificate, "key": key, "policy": POLICY}
        self._config.write_text(_CONFIG.format(**words))
        (self._folder / "serial").write_text("01\n")
        self._one_at_a_time = threading.Lock()  # the serial number is a file

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        if method == "GET":
            if path == "/ca.pem":
                return Response(200, "application/x-pem-file", self.root.read_bytes())
            return Response(404)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/timestamp-query":
            return Response(415, body=b"wanted Content-Type: application/timestamp-query\n")
        with self._one_at_a_time, tempfile.TemporaryDirectory(prefix="lwts") as folder:
            query, reply = Path(folder, "query.tsq"), Path(folder, "reply.tsr")
            query.write_bytes(body)
            arguments: list[str | Path] = [
                "-config",
                self._config,
                "-section",
                "tsa",
                "-queryfile",
                query,
                "-out",
                reply,
            ]
            done = subprocess.run([self._openssl, "ts", "-reply", *arguments], capture_output=True, check=False)
            if done.returncode or not reply.exists():
                return Response(400, body=done.stderr[-500:])
            return Response(200, "application/timestamp-reply", reply.read_bytes())
