"""TLS connects, SIP over TCP and TLS, digest and the servers of a set, against openssl, kamailio and a name server."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from on_sockets import CONTROL, NEEDS_SOCKETS, fates, run

from linewitness_wire import codes, record
from simulations.lab.certificates import Authority
from simulations.lab.peers.dns import DnsServer
from simulations.lab.sip_daemons import Kamailio, OpensslServer, kamailio_modules
from simulations.lab.tools import reason_without
from witness.probes import certificate, sdp, sip_digest, sip_message

NEEDS_OPENSSL = pytest.mark.skipif(reason_without("openssl") is not None, reason="no openssl")
NEEDS_KAMAILIO = pytest.mark.skipif(
    reason_without("kamailio") is not None or kamailio_modules() is None, reason="no kamailio"
)

TLS = """
import tls as tls_module
from witness.probes.connection import Connecting, tls_contexts
from witness.probes.tls import Tls
contexts = tls_contexts(tls_module, FOLDER)
probe = Tls(socket, clock, link, contexts, quiet)
async def connect(port, options={}, host="localhost", timeout_ms=1500):
    t = target(codes.METHOD_TLS, port, timeout_ms, options, host)
    sample = await probe.run(t, "127.0.0.1")
    tell([list(sample), {record.reading_name(k): v for k, v in probe.extras(t).items()}])
"""
TRUSTED = '{plan.OPTION_AUTHORITY: "lab"}'


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return trusted(Authority(tmp_path / "right"), tmp_path)


def trusted(authority: Authority, folder: Path) -> Authority:
    """Put its certificate where a witness has it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    (folder / "authority-lab.der").write_bytes(authority.certificate.public_bytes(Encoding.DER))
    return authority


def connected(folder: Path, *lines: str) -> list[Any]:
    return run(TLS.replace("FOLDER", repr(str(folder))), *(line + "\n" for line in lines))


@contextmanager
def tcp_peer(close: bool) -> Iterator[int]:
    """Takes connections and says nothing, or closes them at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                if close:
                    connection.recv(1)
                    connection.close()
                else:
                    kept.append(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


@NEEDS_SOCKETS
@NEEDS_OPENSSL
def test_a_handshake_has_phases_and_the_certificate_is_told(authority, tmp_path):
    from cryptography import x509

    files = authority.issue_server("edge", ("localhost",))
    with OpensslServer(*files) as server:
        port = server.address[1]
        told = connected(tmp_path, f"await connect({port}, {TRUSTED})", f"await connect({port})")
    made = x509.load_pem_x509_certificate(files[0].read_bytes())
    for (sample, extras), checked in zip(told, (1, 0), strict=True):
        assert (sample[0], sample[3]) == (codes.FATE_ANSWERED, None)
        assert 0 < extras["connect_us"][0] <= extras["connect_us"][1] < sample[2]
        assert 0 < extras["handshake_us"][0] <= sample[2]
        assert extras["certificate"][:2] == [checked, int(made.not_valid_after_utc.timestamp())]
        assert extras["peer"] == {"hex": "7f000001" + port.to_bytes(2, "big").hex()}


@NEEDS_SOCKETS
@NEEDS_OPENSSL
def test_tls_failures_are_told_apart(authority, tmp_path):
    files = authority.issue_server("edge", ("localhost",))
    stranger = Authority(tmp_path / "wrong", "another CA").issue_server("edge", ("localhost",))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
    client = ("-tls1_2", "-Verify", "1", "-verify_return_error")
    with (
        OpensslServer(*files) as right, OpensslServer(*stranger) as wrong,
        OpensslServer(*files, None, (), *client) as asks,
        tcp_peer(close=False) as silent, tcp_peer(close=True) as closing,
    ):  # fmt: skip
        told = connected(
            tmp_path,
            f"await connect({wrong.address[1]}, {TRUSTED})",
            f'await connect({right.address[1]}, {TRUSTED}, "edge.example.net")',
            f"await connect({asks.address[1]}, {TRUSTED})",
            f'await connect({right.address[1]}, {{plan.OPTION_AUTHORITY: "unknown"}})',
            f"await connect({silent}, {{}}, 'localhost', 400)",
            f"await connect({closing})",
            f"await connect({nobody})",
        )
    wrong_code = codes.FATE_WRONG
    assert [(sample[0], sample[3]) for sample, _ in told] == [
        (wrong_code, codes.TLS_UNTRUSTED - codes.TLS_OTHER_AUTHORITY),
        (wrong_code, codes.TLS_UNTRUSTED - codes.TLS_OTHER_NAME),
        (wrong_code, codes.TLS_ALERT),
        (codes.FATE_VOID, -errno.ENOENT),
        (codes.FATE_LOST, -errno.ETIMEDOUT),
        (wrong_code, -errno.ECONNRESET),
        (wrong_code, -errno.ECONNREFUSED),
    ]
    assert "handshake_us" not in told[0][1]
    assert "connect_us" in told[4][1]
    assert "connect_us" not in told[6][1]


SIP_STREAM = (
    TLS
    + """
from witness.probes.sip_stream import SipStream
control = sockets.Datagram(socket, clock, link, 1472, quiet)
asyncio.create_task(control.run())
from witness.probes.sip import Sip
secrets = {"sip": "probe7:s3cret-Pass", "wrong": "probe7:guess"}
tcp = SipStream(Connecting(socket, clock, link), None, clock, link, os.urandom, "noc@example.com", secrets)
tls = SipStream(Connecting(socket, clock, link, contexts), quiet, clock, link, os.urandom, "noc@example.com", secrets)
udp = Sip(control, clock, os.urandom, "noc@example.com", secrets)
async def ask(sip, method, port, options={}, times=1):
    t = target(method, port, 1500, options, "localhost")
    for _ in range(times):
        sample = await sip.run(t, "127.0.0.1")
        tell([list(sample), {record.reading_name(k): v for k, v in sip.extras(t).items()}])
"""
)


def asked(folder: Path, *lines: str) -> list[Any]:
    return run(SIP_STREAM.replace("FOLDER", repr(str(folder))), *(line + "\n" for line in lines))


@NEEDS_SOCKETS
@NEEDS_KAMAILIO
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_options_over_every_transport_with_and_without_credentials(authority, tmp_path, algorithm):
    files = authority.issue_server("edge", ("localhost",))
    locked = '{plan.OPTION_NAME: "locked", plan.OPTION_SECRET: "%s"}'
    with Kamailio(algorithm=algorithm, tls=files) as server:
        port, tls_port = server.address[1], server.tls_port
        told = asked(
            tmp_path,
            f"await ask(udp, codes.METHOD_SIP_UDP, {port})",
            f"await ask(tcp, codes.METHOD_SIP_TCP, {port})",
            f"await ask(tls, codes.METHOD_SIP_TLS, {tls_port}, {TRUSTED})",
            f"await ask(udp, codes.METHOD_SIP_UDP, {port}, {{plan.OPTION_NAME: 'locked'}})",
            f"await ask(udp, codes.METHOD_SIP_UDP, {port}, {locked % 'sip'}, 2)",
            f"await ask(tcp, codes.METHOD_SIP_TCP, {port}, {locked % 'sip'})",
            f"await ask(udp, codes.METHOD_SIP_UDP, {port}, {locked % 'wrong'})",
        )
    assert fates([sample for sample, _ in told]) == [
        (codes.FATE_ANSWERED, None),
        (codes.FATE_ANSWERED, None),
        (codes.FATE_ANSWERED, None),
        (codes.FATE_ANSWERED, 401),
        (codes.FATE_ANSWERED, None),
        (codes.FATE_ANSWERED, None),
        (codes.FATE_ANSWERED, None),
        (codes.FATE_WRONG, 401),
    ]
    assert "handshake_us" in told[2][1]
    assert "handshake_us" not in told[1][1]
    assert told[2][1]["certificate"][0] == 1
    # rport tells from which port the server saw us come; over UDP it is the same each time.
    mapped = [extras["mapped"]["hex"] for _, extras in told]
    assert all(place.startswith("7f000001") for place in mapped)
    assert mapped[0] == mapped[3] == mapped[4]


@NEEDS_SOCKETS
def test_a_stream_that_is_no_sip_is_malformed_and_one_that_ends_is_wrong(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        answers = [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b""]

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                connection.recv(2000)
                connection.sendall(answer)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        told = asked(tmp_path, f"await ask(tcp, codes.METHOD_SIP_TCP, {server.getsockname()[1]}, {{}}, 2)")
        thread.join()
    assert [(sample[0], sample[3]) for sample, _ in told] == [(codes.FATE_WRONG, -errno.ECONNRESET)] * 2
    assert [extras.get("malformed", 0) for _, extras in told] == [1, 0]


ZONE = {
    "_sip._udp.voxcloud.example": {
        "SRV": [
            "20 0 5080 backup.voxcloud.example.",
            "10 10 5060 b.voxcloud.example.",
            "10 60 5062 a.voxcloud.example.",
        ]
    },
    "a.voxcloud.example": {"A": ["192.0.2.20", "192.0.2.3"]},
    "b.voxcloud.example": {"A": ["192.0.2.4"]},
    "backup.voxcloud.example": {"A": ["192.0.2.5"]},
    "plain.example": {"A": ["192.0.2.9", "192.0.2.8"]},
    "_sips._tcp.broken.example": {"SRV": ["10 0 5061 gone.example.", "20 0 5061 b.voxcloud.example."]},
}


@NEEDS_SOCKETS
def test_the_servers_of_a_set_come_in_one_order_and_each_is_a_target_of_its_own():
    with DnsServer(ZONE) as dns:
        told = run(
            CONTROL,
            f"""
from witness.places import Places, at_place
from witness.resolver import Resolver, Unresolved
resolver = Resolver(control, clock, os.urandom, ["127.0.0.1"], {dns.address[1]})
places = Places(resolver, lambda: "192.168.1.1", clock)
async def find(host, member=0, method=codes.METHOD_SIP_UDP, port=0):
    t = target(method, port, 300, {{plan.OPTION_MEMBER: member}} if member else {{}}, host)
    try:
        place = await places.find(t)
    except Unresolved:
        tell("unresolved")
        return
    tell(place and [place.address, at_place(t, place).port, place.took_us is not None])
for member in range(7):
    await find("voxcloud.example", member)
await find("plain.example", 2)
await find("plain.example", 1, codes.METHOD_SIP_UDP, 5070)
await find("192.0.2.77")
await find("gateway")
await find("broken.example", 1, codes.METHOD_SIP_TLS)
await find("broken.example", 2, codes.METHOD_SIP_TLS)
""",
        )
    places = [place and place[:2] if place != "unresolved" else place for place in told]
    assert places == [
        ["192.0.2.3", 5062], ["192.0.2.3", 5062], ["192.0.2.20", 5062], ["192.0.2.4", 5060], ["192.0.2.5", 5080],
        None, None, ["192.0.2.9", 5060], ["192.0.2.8", 5070], ["192.0.2.77", 0], ["192.168.1.1", 0],
        "unresolved", ["192.0.2.4", 5061],
    ]  # fmt: skip
    assert [place[2] for place in told[:3]] == [True, False, False]  # how long a server took, where one was asked


# --- bytes in, values out ---


def vector(algorithm: str) -> tuple[dict[str, str], str]:
    challenge = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    fields = sip_digest.fields_of(challenge)
    account = ("Mufasa", "Circle of Life")
    return fields, sip_digest.response_to(fields, account, "GET", "/dir/index.html", "00000001", cnonce)


def test_digest_gives_the_responses_of_rfc_7616():
    fields, response = vector("MD5")
    assert fields["qop"] == "auth, auth-int"
    assert response == "8ca523f5e9506fed4657c9700eebdbec"
    assert vector("SHA-256")[1] == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


def test_digest_without_qop_and_with_another_algorithm():
    account = ("probe7", "s3cret-Pass")
    fields = sip_digest.fields_of('Digest realm="pbx.example.net", nonce="84a4cc6f3082121f32b42a2187831a9e"')
    response = sip_digest.response_to(fields, account, "OPTIONS", "sip:pbx.example.net", "", "")
    assert response == "c256c5fbb0e4fb222ef15f37902bddc2"
    assert sip_digest.hash_of("SHA-512-256") is None
    assert sip_digest.fields_of('Basic realm="x"') == {}


def test_the_first_challenge_that_we_can_answer_is_answered():
    headers = [
        ("cseq", "1 OPTIONS"), ("www-authenticate", 'Digest realm="r", nonce="a", algorithm=SHA-512-256'),
        ("www-authenticate", 'Digest realm="r", nonce="b", algorithm=SHA-256, qop="auth"'),
        ("www-authenticate", 'Digest realm="r", nonce="c", algorithm=MD5'),
    ]  # fmt: skip
    credentials = sip_digest.Credentials("u:p:with:colons", lambda n: bytes(n))
    assert credentials.take(sip_message.Message(401, "", headers, b""))
    ((name, answer),) = credentials.headers("OPTIONS", "sip:r")
    assert name == "Authorization"
    assert all(part in answer for part in ('nonce="b"', "algorithm=SHA-256", "nc=00000001"))
    assert "p:with" not in answer
    assert not credentials.take(sip_message.Message(401, "", headers, b""))  # refused: not tried again


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_message_or_malformed(octets):
    for decode in (sip_message.decode, sip_message.decode_response):
        with contextlib.suppress(sip_message.Malformed):
            assert decode(b"SIP/2.0 200 OK\r\nCSeq: 1 X\r\n" + octets + b"\r\n\r\n").status == 200
    assert certificate.not_after_s(octets) >= 0


def test_values_of_headers_are_taken_apart():
    via = "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;received=192.0.2.7;rport=4242"
    assert sip_message.listed('"A, B" <sip:a,b@c>, <sip:d@e>;lr') == ['"A, B" <sip:a,b@c>', "<sip:d@e>;lr"]
    assert sip_message.mapped(via, "10.0.0.1:5060") == bytes((192, 0, 2, 7, 0x10, 0x92))
    assert sip_message.mapped(via.replace("192.0.2.7", "192.0.2.700"), "10.0.0.1") is None
    assert sip_message.host_and_port("sip:x@192.0.2.1:5070;transport=udp") == ("192.0.2.1", 5070)
    assert sip_message.host_and_port("sip:pbx.example.net") == ("pbx.example.net", 0)
    assert sip_message.uri_of('"Desk" <sip:x@y>;tag=1') == "sip:x@y"
    assert sip_message.parameter("<sip:x@y;tag=no>;tag=yes", "tag") == "yes"


def test_an_answer_says_where_the_media_goes():
    body = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 18 8 0\r\nc=IN IP4 192.0.2.2\r\na=rtcp:4009\r\n"
    assert sdp.decode_answer(body) == ("192.0.2.2", 4000, sdp.PCMA, 4009)
    assert sdp.decode_answer(body + b"a=rtcp-mux\r\n").rtcp_port == 4000
    for wrong in (body.replace(b"8 0", b"9"), body.replace(b"4000", b"0"), b"v=0\r\n"):
        with pytest.raises(sdp.Malformed):
            sdp.decode_answer(wrong)


def test_extras_of_a_connection_fit_a_reading():
    reading = {
        record.TARGET: 0, record.START_US: 0, record.SPAN_US: 1, record.PEER: bytes(6), record.RESOLVE_US: [1, 2],
        record.CONNECT_US: [1, 2], record.HANDSHAKE_US: [1, 2], record.CERTIFICATE: [1, 4_102_444_800, 0xFFFFFFFF],
        record.MAPPED: bytes(6),
    }  # fmt: skip
    record.check_reading(reading)
