"""Test calls against other people's user agents and proxies: sipp, baresip, kamailio; failures told apart."""

from __future__ import annotations

import time
from typing import Any

import pytest
from on_sockets import NEEDS_SOCKETS, run
from peers import sip_response, udp_peer

from linewitness_wire import codes, record
from simulations.lab.sip_daemons import Baresip, Kamailio, SippCallee, kamailio_modules
from simulations.lab.tools import reason_without

NEEDS_SIPP = pytest.mark.skipif(reason_without("sipp") is not None, reason="no sipp")
NEEDS_BARESIP = pytest.mark.skipif(reason_without("baresip") is not None, reason="no baresip")
NEEDS_KAMAILIO = pytest.mark.skipif(
    reason_without("kamailio", "baresip") is not None or kamailio_modules() is None, reason="no kamailio or baresip"
)

CALL = """
from witness.probes.call import Call
control = sockets.Datagram(socket, clock, link, 1472, quiet, os.urandom)
media = sockets.Datagram(socket, clock, link, 512, None, os.urandom)
for each in (control, media):
    asyncio.create_task(each.run())
probe = Call(control, media, quiet, clock, os.urandom, "noc@example.com", {"sip": THE_ACCOUNT})
ECHO = {plan.OPTION_EXTENSION: "9196", plan.OPTION_SECONDS: 2, plan.OPTION_ECHO: 1}
ACCOUNT = {plan.OPTION_EXTENSION: "9196", plan.OPTION_SECONDS: 2, plan.OPTION_ECHO: 1, plan.OPTION_NAME: "lab",
           plan.OPTION_SECRET: "sip", plan.OPTION_REGISTER: 1}
NO_REGISTER = {plan.OPTION_EXTENSION: "9196", plan.OPTION_NAME: "lab", plan.OPTION_SECRET: "sip"}
async def call(port, options=ECHO, timeout_ms=10000):
    t = target(codes.METHOD_CALL, port, timeout_ms, options)
    reading = await probe.run(t, "127.0.0.1")
    reading[record.TARGET] = 0
    reading[record.START_US] = 0
    record.check_reading(reading)
    words = {record.reading_name(k): v for k, v in reading.items()}
    words["hold_s"] = max(0, (probe.retry_at_us(t) - clock.now_us() + 999999) // 1000000)
    tell(words)
"""


def called(*lines: str, secret: str = "probe7:s3cret-Pass") -> list[dict[str, Any]]:
    """The readings of calls, in words."""
    return run(CALL.replace("THE_ACCOUNT", repr(secret)), *(line + "\n" for line in lines))


def scenario(*steps: str) -> str:
    return (
        '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="callee">\n' + "\n".join(steps) + "\n</scenario>"
    )


def answering(first: str, *more: str, body: str = "") -> str:
    """A sipp step that answers the request before with this status."""
    lines = (
        f"SIP/2.0 {first}", "[last_Via:]", "[last_From:]", "[last_To:];tag=[pid]c[call_number]", "[last_Call-ID:]",
        "[last_CSeq:]", "Contact: <sip:[local_ip]:[local_port]>", *more,
    )  # fmt: skip
    length = "Content-Type: application/sdp\nContent-Length: [len]" if body else "Content-Length: 0"
    return "<send><![CDATA[\n" + "\n".join(lines) + f"\n{length}\n\n{body}\n]]></send>"


INVITED, ACKED = '<recv request="INVITE" crlf="true"/>', '<recv request="ACK"/>'
SDP = "v=0\no=c 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\nm=audio [media_port] RTP/AVP {kinds}"


def refusing(status: str, *more: str) -> str:
    return scenario(INVITED, answering(status, *more), ACKED)


@NEEDS_SOCKETS
@NEEDS_SIPP
def test_a_call_to_sipp_with_rtp_echo_is_measured_as_a_window_is():
    with SippCallee() as callee:
        (reading,) = called(f"await call({callee.address[1]})")
    assert reading["call"] == codes.CALL_DONE
    assert 0 < reading["post_dial_us"] <= reading["answer_us"] < 1_000_000
    assert reading["sent"] == 100
    assert reading["answered"] + reading["self_delayed"] == 100
    assert reading["media_in"][0] == reading["media_in"][1] >= 100
    assert reading["duplicate"] == reading["malformed"] == reading["reordered"] == 0
    assert 4300 < reading["mos_milli"] <= 4410


@NEEDS_SOCKETS
@NEEDS_KAMAILIO
@pytest.mark.parametrize(("algorithm", "codec"), [("MD5", "PCMA"), ("SHA-256", "PCMU")])
def test_a_registered_call_through_kamailio_to_baresip_hears_itself_through_decoder_and_encoder(algorithm, codec):
    with Baresip(codec=codec) as callee, Kamailio(callee=callee.address, algorithm=algorithm) as proxy:
        (reading,) = called(f"await call({proxy.address[1]}, ACCOUNT)")
        told = callee.output
    assert reading["call"] == codes.CALL_DONE
    assert 0 < reading["register_us"] < 1_000_000
    assert reading["answered"] + reading["self_delayed"] == 100
    assert reading["rtt_us"][0] > 10_000  # its jitter buffer
    # BYE came through the proxy's Record-Route: baresip tells of a call that is over.
    assert "(duration: " in told
    assert reading["media_in"][0] - reading["media_in"][1] == 0


@NEEDS_SOCKETS
@NEEDS_KAMAILIO
def test_a_wrong_password_is_told_from_a_refusal_and_tried_once():
    with Kamailio() as proxy:
        readings = called(
            f"await call({proxy.address[1]}, ACCOUNT)",
            f"await call({proxy.address[1]}, NO_REGISTER)",
            secret="probe7:wrong",
        )
    assert [(r["call"], r["codes"]) for r in readings] == [
        (codes.CALL_NOT_AUTHENTICATED, [[401, 1]]),
        (codes.CALL_NOT_AUTHENTICATED, [[407, 1]]),
    ]


@NEEDS_SOCKETS
@NEEDS_BARESIP
def test_media_one_way_is_noticed():
    with Baresip(tone=True) as deaf, SippCallee(echo=False) as dumb:
        for _ in range(3):  # on a busy machine its tone begins late
            heard, silent = called(f"await call({deaf.address[1]})", f"await call({dumb.address[1]})")
            if heard.get("media_in", (0, 0))[1] >= 90:
                break
    assert heard["call"] == codes.CALL_NO_ECHO
    assert heard["media_in"][1] >= 90
    assert silent["call"] == codes.CALL_NO_MEDIA
    assert silent["answered"] == 0
    assert "media_in" not in silent


@NEEDS_SOCKETS
@NEEDS_SIPP
@pytest.mark.parametrize(
    ("status", "more", "outcome", "hold_s"),
    [
        ("486 Busy Here", (), codes.CALL_REFUSED, 0),
        ("503 Service Unavailable", ("Retry-After: 120",), codes.CALL_REFUSED, 120),
        ("403 Forbidden", (), codes.CALL_REFUSED, 60),
    ],
)
def test_refusals_are_told_apart_by_their_status_and_a_wish_to_be_left_alone_is_heeded(status, more, outcome, hold_s):
    with SippCallee(scenario=refusing(status, *more)) as callee:
        (reading,) = called(f"await call({callee.address[1]})")
    assert (reading["call"], reading["codes"]) == (outcome, [[int(status[:3]), 1]])
    assert hold_s - 1 <= reading["hold_s"] <= hold_s
    assert "answer_us" not in reading


@NEEDS_SOCKETS
@NEEDS_SIPP
def test_a_call_that_only_rings_is_cancelled_and_one_that_is_cut_says_so():
    ringing = scenario(
        INVITED, answering("180 Ringing"), '<recv request="CANCEL"/>', answering("200 OK"),
        answering("487 Request Terminated").replace("[last_CSeq:]", "CSeq: 1 INVITE"), ACKED,
    )  # fmt: skip
    bye = (
        "<send><![CDATA[\nBYE [next_url] SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\n"
        "From: <sip:9196@lab>;tag=[pid]c[call_number]\nTo[peer_tag_param]: x\n[last_Call-ID:]\nCSeq: 7 BYE\n"
        "Max-Forwards: 70\nContent-Length: 0\n\n]]></send>"
    )
    cut = scenario(
        INVITED, answering("200 OK", body=SDP.format(kinds="0")), ACKED, '<pause milliseconds="700"/>',
        bye.replace("To[peer_tag_param]: x", "To: <sip:linewitness@lab>[peer_tag_param]"), '<recv response="200"/>',
    )  # fmt: skip
    with SippCallee(scenario=ringing) as rings, SippCallee(scenario=cut) as cuts:
        readings = called(f"await call({rings.address[1]}, ECHO, 900)", f"await call({cuts.address[1]})")
    assert [r["call"] for r in readings] == [codes.CALL_RINGING, codes.CALL_CUT]
    assert readings[0]["post_dial_us"] > 0
    assert 20 < readings[1]["sent"] < 60


@NEEDS_SOCKETS
@NEEDS_SIPP
def test_an_answer_without_a_codec_of_ours_is_ended():
    unusable = scenario(
        INVITED, answering("200 OK", body=SDP.format(kinds="18")), ACKED, '<recv request="BYE"/>', answering("200 OK"),
    )  # fmt: skip
    with SippCallee(scenario=unusable) as callee:
        (reading,) = called(f"await call({callee.address[1]})")
    assert reading["call"] == codes.CALL_BAD_ANSWER


@NEEDS_SOCKETS
def test_invite_is_sent_again_by_timer_a_and_register_by_timer_e():
    times: list[tuple[str, float]] = []

    def silent(request: bytes, n: int) -> list[bytes]:
        times.append((request.split(b" ")[0].decode(), time.monotonic()))
        return []

    with udp_peer(silent) as (port, received):
        readings = called(f"await call({port}, ECHO, 4000)", f"await call({port}, ACCOUNT, 4000)")
    assert [r["call"] for r in readings] == [codes.CALL_SILENT, codes.CALL_NOT_REGISTERED]
    for method in ("INVITE", "REGISTER"):
        sent = [at for name, at in times if name == method]
        # RFC 3261 17.1: 0, 0.5, 1.5, 3.5 s; nothing is cancelled that had no provisional response.
        assert [round(at - sent[0], 1) for at in sent] == pytest.approx([0, 0.5, 1.5, 3.5], abs=0.11)
    assert {name for name, _ in times} == {"INVITE", "REGISTER"}
    branches = [octets.split(b"branch=")[1].split(b";")[0] for octets in received]
    assert len(set(branches)) == 2


@NEEDS_SOCKETS
def test_a_final_response_that_comes_again_is_acknowledged_again():
    def twice(request: bytes, n: int) -> list[bytes]:
        if not request.startswith(b"INVITE"):
            return []
        return [sip_response(request, 100), *[sip_response(request, 486)] * 3]

    with udp_peer(twice) as (port, received):
        (reading,) = called(f"await call({port})")
        time.sleep(0.2)
    assert (reading["call"], reading["codes"]) == (codes.CALL_REFUSED, [[486, 1]])
    methods = [octets.split(b" ")[0] for octets in received]
    assert methods.count(b"INVITE") == 1
    assert methods.count(b"ACK") >= 1


def test_every_outcome_has_a_name():
    assert len(codes.CALL_NAMES) == codes.CALL_NOT_SENT + 1
    assert record.reading_name(record.CALL) == "call"
