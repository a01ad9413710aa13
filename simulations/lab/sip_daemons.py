"""Real SIP servers and user agents of other people: sipp and baresip as callees, kamailio as registrar and proxy.

Each answers calls or OPTIONS on its address; see daemons for what all of them have in common.
"""

from __future__ import annotations

import math
import struct
import time
import wave
from collections.abc import Sequence
from pathlib import Path

from simulations.free_ports import free_port
from simulations.lab.daemons import Address, Daemon

SETTLING_S = 0.5
PORTS_OF_MEDIA = 20
TONE = struct.pack("<16h", *(round(8000 * math.sin(math.pi * n / 8)) for n in range(16)))  # 500 Hz
TONE_S = 40
BARESIP_MODULES = "/usr/lib/baresip/modules"
KAMAILIO_MODULES = ("/usr/lib/x86_64-linux-gnu/kamailio/modules", "/usr/lib/aarch64-linux-gnu/kamailio/modules")


def free_even_port() -> int:
    """An even port of 127.0.0.1 that is free for RTP, as are PORTS_OF_MEDIA after it."""
    port = free_port(beside=PORTS_OF_MEDIA + 1)
    return port + port % 2


class _Quiet(Daemon):
    """A server that says nothing when it is ready; it is when it still lives after SETTLING_S."""

    def __init__(self, address: Address | None = None, prefix: Sequence[str] = ()) -> None:
        super().__init__(address or ("127.0.0.1", free_port()), prefix)
        self._started = time.monotonic()

    def start(self):  # type: ignore[no-untyped-def]
        self._started = time.monotonic()
        return super().start()

    def _serves(self) -> bool:
        lives = self._process is not None and self._process.poll() is None
        return time.monotonic() - self._started > SETTLING_S and lives


class SippCallee(_Quiet):
    """sipp as a callee. `scenario` is the text of a sipp scenario, else its own: 180, 200, BYE. With `echo` it sends
    back the RTP packets that it gets, as they are."""

    commands = ("sipp",)

    def __init__(
        self,
        address: Address | None = None,
        prefix: Sequence[str] = (),
        *,
        scenario: str | None = None,
        echo: bool = True,
        media_port: int | None = None,
    ) -> None:
        super().__init__(address, prefix)
        self._scenario = scenario
        self._echo = echo
        self.media_port = media_port or free_even_port()

    def _arguments(self) -> list[str]:
        what = ["-sn", "uas"]
        if self._scenario is not None:
            path = self.folder / "uas.xml"
            path.write_text(self._scenario)
            what = ["-sf", str(path)]
        host, port = self.address
        at = ["-i", host, "-p", str(port), "-mp", str(self.media_port), "-nostdin"]
        return ["sipp", *what, *at, *(["-rtp_echo"] if self._echo else [])]


class Baresip(Daemon):
    """baresip as a callee of one user: answers at once in one law, and sends back the sound that it hears, by way of
    its own jitter buffer, decoder and encoder."""

    commands = ("baresip",)
    _ready = "ready"

    def __init__(
        self,
        address: Address | None = None,
        prefix: Sequence[str] = (),
        *,
        user: str = "9196",
        codec: str = "PCMU",
        tone: bool = False,
    ) -> None:
        super().__init__(address or ("127.0.0.1", free_port()), prefix)
        self._user = user
        self._codec = codec
        self._tone = tone

    def _arguments(self) -> list[str]:
        host, port = self.address
        first = free_even_port()
        source = "aubridge,lab"
        if self._tone:
            source = f"aufile,{self.folder}/tone.wav"
            with wave.open(f"{self.folder}/tone.wav", "wb") as sound:
                sound.setparams((1, 2, 8000, 0, "NONE", ""))
                sound.writeframes(TONE * (TONE_S * 8000 // (len(TONE) // 2)))
        (self.folder / "config").write_text(
            f"sip_listen {host}:{port}\n"
            "call_local_timeout 120\n"
            "call_max_calls 4\n"
            "audio_player aubridge,lab\n"
            f"audio_source {source}\n"
            "audio_alert aubridge,lab\n"
            "ausrc_format s16\n"
            "auplay_format s16\n"
            f"rtp_ports {first}-{first + PORTS_OF_MEDIA}\n"
            "rtp_stats yes\n"
            "jitter_buffer_delay 1-5\n"
            f"module_path {BARESIP_MODULES}\n"
            "module g711.so\n"
            "module aubridge.so\n"
            "module aufile.so\n"
            "module_app account.so\n"
            "module_app menu.so\n"
        )
        account = f"<sip:{self._user}@{host}:{port}>;regint=0;answermode=auto;audio_codecs={self._codec}\n"
        (self.folder / "accounts").write_text(account)
        return ["baresip", "-f", str(self.folder), "-4"]


def kamailio_modules() -> Path | None:
    """Where kamailio's modules are, None where they are not."""
    return next((Path(path) for path in KAMAILIO_MODULES if Path(path, "auth.so").is_file()), None)


_KAMAILIO = """#!KAMAILIO
debug=1
log_stderror=yes
fork=no
children=1
auto_aliases=no
mpath="@MODULES@"
listen=udp:@HOST@:@PORT@
listen=tcp:@HOST@:@PORT@
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("auth", "algorithm", "@ALGORITHM@")
"""
_KAMAILIO_TLS = """listen=tls:@HOST@:@TLS_PORT@
enable_tls=yes
loadmodule "tls.so"
modparam("tls", "config", "@FOLDER@/tls.cfg")
"""
_KAMAILIO_ROUTE = """request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (has_totag()) { if (loose_route()) { t_relay(); } exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  if (is_method("OPTIONS")) {
    if ($rd == "locked" && !pv_www_authenticate("lab", "@PASSWORD@", "0")) { www_challenge("lab", "1"); exit; }
    sl_send_reply("200", "OK"); exit;
  }
  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("lab", "@PASSWORD@", "0")) { www_challenge("lab", "1"); exit; }
    save("location"); exit;
  }
  if (is_method("INVITE")) {
    if (!pv_proxy_authenticate("lab", "@PASSWORD@", "0")) { proxy_challenge("lab", "1"); exit; }
    if ($au != "@USER@") { sl_send_reply("403", "Forbidden"); exit; }
    consume_credentials(); record_route();
    $du = "sip:@CALLEE@"; t_relay(); exit;
  }
  sl_send_reply("405", "Method Not Allowed");
}
"""


class Kamailio(_Quiet):
    """kamailio as registrar and record-routing proxy; it asks for digest credentials and forwards calls to `callee`.

    user and password are the one account; algorithm is MD5 or SHA-256. OPTIONS for the domain "locked" need it as well.
    It listens on UDP and TCP, with `tls` (certificate and key in PEM files) on tls_port as well.
    """

    commands = ("kamailio",)

    def __init__(
        self,
        address: Address | None = None,
        prefix: Sequence[str] = (),
        *,
        callee: Address = ("127.0.0.1", 9),
        user: str = "probe7",
        password: str = "s3cret-Pass",
        algorithm: str = "MD5",
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        super().__init__(address or ("127.0.0.1", free_port()), prefix)
        self._callee = callee
        self._account = (user, password)
        self._algorithm = algorithm
        self._tls = tls
        self.tls_port = free_port() if tls else 0

    def _arguments(self) -> list[str]:
        host, port = self.address
        text = _KAMAILIO + (_KAMAILIO_TLS if self._tls is not None else "") + _KAMAILIO_ROUTE
        if self._tls is not None:
            certificate, key = self._tls
            profile = f"[server:default]\nmethod = TLSv1.2\ncertificate = {certificate}\nprivate_key = {key}\n"
            (self.folder / "tls.cfg").write_text(profile)
        values = {
            "HOST": host, "TLS_PORT": self.tls_port, "PORT": port, "FOLDER": self.folder, "MODULES": kamailio_modules(),
            "ALGORITHM": self._algorithm, "USER": self._account[0], "PASSWORD": self._account[1],
            "CALLEE": f"{self._callee[0]}:{self._callee[1]}",
        }  # fmt: skip
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        config = self.folder / "kamailio.cfg"
        config.write_text(text)
        return ["kamailio", "-f", str(config), "-DD", "-E", "-m", "16", "-M", "4", "-Y", str(self.folder)]


class OpensslServer(Daemon):
    """openssl's TLS server: certificate and key in PEM files; `options` are further ones of s_server."""

    commands = ("openssl",)
    _ready = "ACCEPT"

    def __init__(
        self, certificate: Path, key: Path, address: Address | None = None, prefix: Sequence[str] = (), *options: str
    ) -> None:
        super().__init__(address or ("127.0.0.1", free_port()), prefix)
        self._files = ["-cert", str(certificate), "-key", str(key)]
        self._options = list(options)

    def _arguments(self) -> list[str]:
        host, port = self.address
        # With -www it does not end a connection for want of something on its own standard input.
        return ["openssl", "s_server", "-www", "-accept", f"{host}:{port}", *self._files, *self._options]
