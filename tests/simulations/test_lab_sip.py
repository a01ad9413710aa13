"""The SIP responder, asked by hand-made requests and by sipp."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.lab.peers.sip import SipResponder
from simulations.lab.peers.sip_message import Malformed, mark_via, parse_datagram

OPTIONS = (
    "OPTIONS sip:pbx.example.net SIP/2.0\r\n"
    "Via: SIP/2.0/{transport} {sent_by};branch=z9hG4bK7d3f0001{rport}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:probe7@pbx.example.net>;tag=49d81a01\r\n"
    "To: <sip:pbx.example.net>\r\n"
    "Call-ID: 6f1e2d3c4b5a@192.0.2.10\r\n"
    "CSeq: 1 OPTIONS\r\n"
    "Contact: <sip:probe7@192.0.2.10:5060>\r\n"
    "Accept: application/sdp\r\n"
    "Content-Length: 0\r\n\r\n"
)


@pytest.fixture
def sip() -> Iterator[SipResponder]:
    with SipResponder() as sip:
        yield sip


def options(transport: str = "UDP", sent_by: str = "192.0.2.10:5060", rport: str = ";rport") -> bytes:
    return OPTIONS.format(transport=transport, sent_by=sent_by, rport=rport).encode()


def ask(sip: SipResponder, request: bytes, wait_s: float = 2) -> tuple[str, int]:
    """The response over UDP and the client's own port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.settimeout(wait_s)
        client.sendto(request, sip.address)
        response, source = client.recvfrom(4096)
        assert source == sip.address
        return response.decode(), client.getsockname()[1]


def field(response: str, name: str) -> str:
    match = re.search(rf"^{name}: (.*)\r$", response, re.MULTILINE)
    assert match, f"no {name} in {response}"
    return match[1]


def test_options_is_answered_200_with_the_requests_own_identity(sip: SipResponder) -> None:
    response, port = ask(sip, options())
    assert response.startswith("SIP/2.0 200 OK\r\n")
    assert response.endswith("Content-Length: 0\r\n\r\n")
    via = field(response, "Via")
    assert via.startswith("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK7d3f0001")
    assert f";rport={port}" in via
    assert ";received=127.0.0.1" in via
    assert field(response, "From") == "<sip:probe7@pbx.example.net>;tag=49d81a01"
    assert re.fullmatch(r"<sip:pbx\.example\.net>;tag=[0-9a-f]{8}", field(response, "To"))
    assert field(response, "CSeq") == "1 OPTIONS"
    assert field(response, "Call-ID") == "6f1e2d3c4b5a@192.0.2.10"


def test_a_retransmission_gets_the_same_tag(sip: SipResponder) -> None:
    assert field(ask(sip, options())[0], "To") == field(ask(sip, options())[0], "To")


def test_without_rport_the_answer_goes_to_the_port_of_sent_by(sip: SipResponder) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(options(sent_by=f"branch.example:{other.getsockname()[1]}", rport=""), sip.address)
        via = field(other.recv(4096).decode(), "Via")
    assert via.endswith(";received=127.0.0.1")
    assert "rport" not in via


def test_code_retry_after_silence_and_delay_are_set_while_it_runs(sip: SipResponder) -> None:
    sip.set(code=503, retry_after_s=120)
    response, _ = ask(sip, options())
    assert response.startswith("SIP/2.0 503 Service Unavailable\r\n")
    assert field(response, "Retry-After") == "120"
    sip.set(code=200, retry_after_s=None, delay_ms=150)
    before = time.monotonic()
    ask(sip, options())
    assert 0.15 <= time.monotonic() - before < 1
    sip.set(silent=True)
    with pytest.raises(TimeoutError):
        ask(sip, options(), wait_s=0.2)
    assert [request.answer for request in sip.requests] == ["503", "200", "silent"]
    assert sip.requests[0].what == "udp OPTIONS sip:pbx.example.net"


def test_a_slow_answer_does_not_hold_up_the_next_one(sip: SipResponder) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        sip.set(delay_ms=300)
        client.sendto(options(), sip.address)
        time.sleep(0.05)
        sip.set(delay_ms=0, code=404)
        client.sendto(options(), sip.address)
        assert client.recv(4096).startswith(b"SIP/2.0 404")
        assert client.recv(4096).startswith(b"SIP/2.0 200")


def test_over_tcp_several_requests_share_a_connection(sip: SipResponder) -> None:
    with socket.create_connection(sip.address, timeout=2) as client:
        client.sendall(b"\r\n\r\n" + options("TCP") + options("TCP")[:40])
        time.sleep(0.05)
        client.sendall(options("TCP")[40:])
        received = b""
        while received.count(b"\r\n\r\n") < 2:
            received += client.recv(4096)
    assert received.count(b"SIP/2.0 200 OK\r\n") == 2
    assert b"Via: SIP/2.0/TCP" in received


def test_a_stopped_responder_refuses_and_comes_back_on_its_port(sip: SipResponder) -> None:
    address = sip.address
    sip.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1)
    sip.start()
    assert sip.address == address
    assert ask(sip, options())[0].startswith("SIP/2.0 200")


@pytest.mark.parametrize(
    ("old", "new", "start"),
    [
        ("CSeq: 1 OPTIONS\r\n", "", "SIP/2.0 400"),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", "SIP/2.0 400"),
        ("Max-Forwards: 70\r\n", "", "SIP/2.0 400"),
        ("Call-ID:", "i:", "SIP/2.0 200"),
        ("Via:", "v:", "SIP/2.0 200"),
        ("OPTIONS", "INVITE", "SIP/2.0 405"),
    ],
)
def test_each_kind_of_request_gets_the_code_of_the_rfc(sip: SipResponder, old: str, new: str, start: str) -> None:
    response, _ = ask(sip, options().decode().replace(old, new).encode())
    assert response.startswith(start)
    if start.endswith("405"):
        assert field(response, "Allow") == "OPTIONS"


def test_a_malformed_datagram_is_noted_and_not_answered(sip: SipResponder) -> None:
    with pytest.raises(TimeoutError):
        ask(sip, b"OPTIONS sip:x HTTP/1.1\r\n\r\n", wait_s=0.2)
    assert sip.requests[-1].answer == "malformed"
    assert "bad request line" in sip.requests[-1].what


def test_a_body_shorter_than_content_length_is_refused() -> None:
    with pytest.raises(Malformed, match="body of 0 octets, Content-Length 5"):
        parse_datagram(options().replace(b"Content-Length: 0", b"Content-Length: 5"))


@given(at=st.integers(0, 400), octets=st.binary(max_size=12), cut=st.integers(0, 12))
def test_a_request_damaged_anywhere_is_answered_or_refused_never_a_crash(at: int, octets: bytes, cut: int) -> None:
    whole = options()
    damaged = whole[:at] + octets + whole[at + cut :]
    answered = None
    with contextlib.suppress(Malformed):  # anything else would stop the responder, and fails here
        answered = SipResponder().answer(parse_datagram(damaged), ("127.0.0.1", 5060))
    assert answered is None or answered[0].startswith(b"SIP/2.0 ")


@pytest.mark.parametrize("value", ["-1", "9" * 5000, "1e3", "٣"])
def test_a_content_length_that_is_no_small_number_is_refused(value: str) -> None:
    with pytest.raises(Malformed, match="bad Content-Length"):
        parse_datagram(options().replace(b"Content-Length: 0", f"Content-Length: {value}".encode()))


@pytest.mark.parametrize("port", ["0", "65536", "9" * 5000, "x"])
def test_a_port_that_cannot_be_in_via_is_refused(port: str) -> None:
    with pytest.raises(Malformed, match="bad port in Via"):
        mark_via(f"SIP/2.0/UDP a.b:{port};branch=1", ("9.9.9.9", 7))


@pytest.mark.parametrize(
    ("via", "marked", "to"),
    [
        ("SIP/2.0/UDP a.b;branch=1;rport", "SIP/2.0/UDP a.b;branch=1;rport=7;received=9.9.9.9", ("9.9.9.9", 7)),
        ("SIP/2.0/UDP 9.9.9.9;branch=1", "SIP/2.0/UDP 9.9.9.9;branch=1", ("9.9.9.9", 5060)),
        ("SIP/2.0/UDP 1.1.1.1:99;branch=1", "SIP/2.0/UDP 1.1.1.1:99;branch=1;received=9.9.9.9", ("9.9.9.9", 99)),
        (
            "SIP/2.0/UDP a;rport;branch=1, SIP/2.0/UDP b;rport",
            "SIP/2.0/UDP a;rport=7;received=9.9.9.9;branch=1, SIP/2.0/UDP b;rport",
            ("9.9.9.9", 7),
        ),
    ],
)
def test_the_top_via_is_marked_as_rfc_3581_says(via: str, marked: str, to: tuple[str, int]) -> None:
    assert mark_via(via, ("9.9.9.9", 7)) == (marked, to)
