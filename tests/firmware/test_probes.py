"""Each probe against a real peer on 127.0.0.1, from a MicroPython machine with real sockets (the unix one)."""

from __future__ import annotations

import socket
import struct
import time

import pytest
from on_sockets import CONTROL, NEEDS_SOCKETS, fates, run
from peers import Reflector, dns_record, dns_response, sip_response, udp_peer

from linewitness_wire import codes, record

pytestmark = NEEDS_SOCKETS

# --- ICMP -------------------------------------------------------------------------------------------------------------


def test_icmp_echo_is_answered_several_at_a_time_and_void_without_a_link():
    samples = run("""
icmp = sockets.Icmp(socket, clock, link)
asyncio.create_task(icmp.run())
from witness.probes.icmp import Icmp
probe = Icmp(icmp, clock, os.urandom)
t = target(codes.METHOD_ICMP, 0)
for address in ("127.0.0.1", "127.1.2.3"):
    tell(await probe.run(t, address))
tell([list(s) for s in await asyncio.gather(*[probe.run(t, "127.0.0.1") for _ in range(4)])])
tell(probe.extras(t))
link.up = False
tell(await probe.run(t, "127.0.0.1"))
""")
    assert fates([samples[0], samples[1], *samples[2]]) == [(codes.FATE_ANSWERED, None)] * 6
    assert samples[3] == {}
    assert fates([samples[4]]) == [(codes.FATE_VOID, None)]


def test_icmp_takes_only_its_own_echo_and_counts_duplicates_and_damage():
    told = run("""
from witness.probes import icmp as m
class Module:  # a socket module whose one socket keeps what is sent
    AF_INET, SOCK_RAW = 2, 3
    def socket(self, family, kind, protocol): return self
    def getaddrinfo(self, host, port): return socket.getaddrinfo(host, port)
    def setblocking(self, on): pass
    def sendto(self, octets, peer): self.sent = octets
class Wire(sockets.Icmp):
    def feed(self, message, source="127.0.0.1"):
        header = bytes((0x45, 0, 0, 20 + len(message), 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1))
        self._dispatch(header + message, self.endpoint(source), clock.now_us())
module = Module()
wire = Wire(module, clock, link)
probe = m.Icmp(wire, clock, os.urandom)
t = target(codes.METHOD_ICMP, 0, 100)
def reply(request, change=None):
    octets = bytearray(request)
    octets[0:4] = bytes(4)
    if change is not None: octets[change] ^= 1
    octets[2:4] = m.checksum(octets).to_bytes(2, "big")
    return bytes(octets)
async def probed(feed):
    task = asyncio.create_task(probe.run(t, "127.0.0.1"))
    await asyncio.sleep_ms(5)
    feed(module.sent)
    return await task
for change in (4, 7):
    tell(await probed(lambda sent: wire.feed(reply(sent, change))))
tell([probe.extras(t), await probed(lambda sent: wire.feed(reply(sent, 12))), probe.extras(t)])
tell([await probed(lambda sent: wire.feed(reply(sent), "127.0.0.2")), probe.extras(t)])
tell([await probed(lambda sent: wire.feed(reply(sent)[:20] + b"x" + reply(sent)[21:])), probe.extras(t)])
tell(await probed(lambda sent: (wire.feed(reply(sent)), wire.feed(reply(sent)), wire.feed(reply(sent)))))
tell(probe.extras(t))
def unreachable(sent):
    quoted = bytes((0x45,)) + bytes(19) + sent[:8]
    return bytes((3, 1, 0, 0, 0, 0, 0, 0)) + quoted
tell(await probed(lambda sent: wire.feed(unreachable(sent), "127.0.0.9")))
""")
    lost = (codes.FATE_LOST, None)
    assert fates(told[:2]) == [lost, lost]
    assert (told[2][0], fates([told[2][1]]), told[2][2]) == ({}, [lost], {str(record.MALFORMED): 1})
    assert (fates([told[3][0]]), told[3][1]) == ([lost], {})
    assert (fates([told[4][0]]), told[4][1]) == ([lost], {str(record.MALFORMED): 1})
    assert fates([told[5]]) == [(codes.FATE_ANSWERED, None)]
    assert told[6] == {str(record.DUPLICATE): 2}
    assert fates([told[7]]) == [(codes.FATE_LOST, -113)]


# --- DNS --------------------------------------------------------------------------------------------------------------

DNS = (
    CONTROL
    + """
from witness.probes.dns import Dns
probe = Dns(control, clock, os.urandom)
def dns_target(port, fresh=0):
    options = {plan.OPTION_NAME: "example.com", plan.OPTION_FRESH: fresh}
    return target(codes.METHOD_DNS, port, options=options)
"""
)


def test_dns_answers_and_failures_are_told_apart_by_rcode():
    def answer(query: bytes, n: int) -> list[bytes]:
        return [dns_response(query, (0, 3, 2, 5)[n], (dns_record(1, 60, bytes(4)),) if n == 0 else ())]

    with udp_peer(answer) as (port, _):
        samples = run(
            DNS,
            f"""
for _ in range(4):
    tell(await probe.run(dns_target({port}), "127.0.0.1"))
""",
        )
    assert fates(samples) == [
        (codes.FATE_ANSWERED, None),
        (codes.FATE_ANSWERED, 3),
        (codes.FATE_WRONG, 2),
        (codes.FATE_WRONG, 5),
    ]


def test_dns_takes_no_answer_with_another_id_or_question():
    def answer(query: bytes, n: int) -> list[bytes]:
        other = bytes([query[0] ^ 1, query[1]])
        if n == 0:
            return [dns_response(query, number=other)]
        return [dns_response(query, question=query[12:].replace(b"com", b"org")), query, b"\0"]

    with udp_peer(answer) as (port, _):
        told = run(
            DNS,
            f"""
t = dns_target({port})
for _ in range(2):
    tell(await probe.run(t, "127.0.0.1"))
    tell([probe.extras(t), control.strays])
""",
        )
    assert fates([told[0], told[2]]) == [(codes.FATE_LOST, None)] * 2
    assert told[1] == [{}, 1]
    assert told[3] == [{str(record.MALFORMED): 1}, 3]


def test_a_fresh_label_stands_before_the_name_and_differs_each_time():
    with udp_peer(lambda query, n: [dns_response(query, 3)]) as (port, received):
        run(
            DNS,
            f"""
for _ in range(2):
    tell(await probe.run(dns_target({port}, 1), "127.0.0.1"))
""",
        )
    assert [query[29:42] for query in received] == [b"\x07example\x03com\0"] * 2
    assert len({query[12:29] for query in received}) == 2
    assert len({query[:2] for query in received}) == 2


# --- TCP --------------------------------------------------------------------------------------------------------------


def test_tcp_connect_refusal_and_silence_are_told_apart():
    with socket.socket() as listening, socket.socket() as full, socket.socket() as unused:
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)
        unused.bind(("127.0.0.1", 0))
        # A listener whose backlog is full answers no SYN.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        time.sleep(0.05)
        ports = [sock.getsockname()[1] for sock in (listening, unused, full)]
        samples = run(f"""
from witness.probes.tcp import Tcp
probe = Tcp(socket, clock, link)
for port in {ports}:
    tell(await probe.run(target(codes.METHOD_TCP, port), "127.0.0.1"))
""")
        for filler in fillers:
            filler.close()
    assert fates(samples) == [(codes.FATE_ANSWERED, None), (codes.FATE_WRONG, -111), (codes.FATE_LOST, None)]


# --- SIP --------------------------------------------------------------------------------------------------------------

SIP = (
    CONTROL
    + """
from witness.probes.sip import Sip
probe = Sip(control, clock, os.urandom, "noc@example.com", {})
"""
)


@pytest.mark.parametrize(
    ("status", "fate", "code"),
    [
        (200, codes.FATE_ANSWERED, None),
        *((s, codes.FATE_ANSWERED, s) for s in (202, 302, 400, 401, 403, 404, 405, 407, 480, 483, 486, 488, 501, 603)),
        *((s, codes.FATE_WRONG, s) for s in (408, 500, 502, 503, 504)),
    ],
)
def test_sip_statuses_mean_alive_or_failing(status, fate, code):
    from witness.probes import sip_message

    headers = sip_message.request_headers("UDP", "192.0.2.1", "b7", "call", 9, "OPTIONS")
    request = sip_message.encode("OPTIONS sip:example.net SIP/2.0", headers)
    response = sip_message.decode_response(sip_response(request, status))
    assert (response.status, response.branch, response.method) == (status, "b7", "OPTIONS")
    assert response.retry_after_s is None
    assert sip_message.is_failure(status) == (fate == codes.FATE_WRONG)
    assert code in (None, status)


def test_sip_options_is_one_shot_with_a_branch_of_its_own():
    with udp_peer(lambda request, n: []) as (port, received):
        samples = run(
            SIP,
            f"""
t = target(codes.METHOD_SIP_UDP, {port}, 700, {{plan.OPTION_NAME: "pbx.example.net"}})
tell(await probe.run(t, "127.0.0.1"))
tell(await probe.run(t, "127.0.0.1"))
""",
        )
    assert fates(samples) == [(codes.FATE_LOST, None)] * 2
    assert len(received) == 2
    texts = [octets.decode() for octets in received]
    assert texts[0].startswith("OPTIONS sip:pbx.example.net SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK")
    assert texts[0].endswith("\r\nUser-Agent: linewitness/1 (noc@example.com)\r\nContent-Length: 0\r\n\r\n")
    assert all(";rport\r\n" in text and "\r\nMax-Forwards: 70\r\n" in text for text in texts)
    assert ["CSeq: 1 OPTIONS" in texts[0], "CSeq: 2 OPTIONS" in texts[1]] == [True, True]
    assert len({text.split("branch=")[1].split(";")[0] for text in texts}) == 2


def test_sip_waits_past_provisional_and_takes_only_its_own_branch():
    def answer(request: bytes, n: int) -> list[bytes]:
        wrong_method = sip_response(request, 200).replace(b" OPTIONS", b" INVITE")
        two_vias = sip_response(request, 200, "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother")
        return [
            [sip_response(request, 100), sip_response(request, 200, branch="z9hG4bKother"), sip_response(request, 404)],
            [wrong_method, two_vias, b"SIP/2.0 junk"],
            [sip_response(request, 503, "Retry-After: 30")],
            [sip_response(request, 200).replace(b"Via:", b"v :").replace(b"Content-Length", b"l")],
        ][n]

    with udp_peer(answer) as (port, _):
        told = run(
            SIP,
            f"""
t = target(codes.METHOD_SIP_UDP, {port})
for _ in range(4):
    tell(await probe.run(t, "127.0.0.1"))
    tell([probe.extras(t), (probe.retry_at_us(t) - clock.now_us() + 500000) // 1000000 if probe.retry_at_us(t) else 0])
""",
        )
    assert fates(told[::2]) == [
        (codes.FATE_ANSWERED, 404),
        (codes.FATE_LOST, None),
        (codes.FATE_WRONG, 503),
        (codes.FATE_ANSWERED, None),
    ]
    # What is noted of the server's place and ours beside the counts is another test's matter.
    counts = [{key: n for key, n in extras.items() if key == str(record.MALFORMED)} for extras, _ in told[1::2]]
    assert counts == [{}, {str(record.MALFORMED): 1}, {}, {}]
    assert [hold_s for _, hold_s in told[1::2]][:3] == [0, 0, 30]


def test_what_a_server_asks_for_is_obeyed_status_by_status():
    silent = [(403, None), (429, None), (503, None)]
    cases = [*silent, (503, 45), (200, 7), (480, 90), (500, None), (404, None), (429, 9999)]

    def answer(request: bytes, n: int) -> list[bytes]:
        status, wait_s = cases[n]
        return [sip_response(request, status, *([] if wait_s is None else [f"Retry-After: {wait_s}"]))]

    with udp_peer(answer) as (port, _):
        held_s = run(
            SIP,
            f"""
for i in range({len(cases)}):
    t = target(codes.METHOD_SIP_UDP, {port}, name="t%d" % i)
    await probe.run(t, "127.0.0.1")
    tell((probe.retry_at_us(t) - clock.now_us() + 500000) // 1000000 if probe.retry_at_us(t) else 0)
""",
        )
    assert held_s == [60, 60, 10, 45, 7, 90, 0, 0, 3600]


# --- what the witness itself spoils -----------------------------------------------------------------------------------


def test_a_stall_in_flight_makes_an_answered_sample_void():
    with udp_peer(lambda query, n: [dns_response(query)]) as (port, _):
        samples = run(
            DNS,
            f"""
async def stall():
    await asyncio.sleep_ms(0)
    await asyncio.sleep_ms(0)
    time.sleep_ms(40)
t = dns_target({port})
tell((await asyncio.gather(probe.run(t, "127.0.0.1"), stall()))[0])
""",
            calm=False,
        )
    assert fates(samples) == [(codes.FATE_VOID, None)]


def test_a_reply_that_lies_unread_over_the_deadline_is_void_and_not_loss():
    with udp_peer(lambda query, n: [dns_response(query)]) as (port, _):
        samples = run(
            DNS,
            f"""
async def stall():
    await asyncio.sleep_ms(0)
    await asyncio.sleep_ms(0)
    time.sleep_ms(55)
t = target(codes.METHOD_DNS, {port}, 50, dns_target(0).options)
tell((await asyncio.gather(probe.run(t, "127.0.0.1"), stall()))[0])
""",
            calm=False,
        )
    assert fates(samples) == [(codes.FATE_VOID, None)]


def test_control_is_silent_in_a_window_and_goes_on_after_it():
    with udp_peer(lambda query, n: [dns_response(query)]) as (port, received):
        (told,) = run(
            DNS,
            f"""
async def window():
    async with quiet:
        await asyncio.sleep_ms(150)
        return clock.now_us()
task = asyncio.create_task(window())
await asyncio.sleep_ms(10)
sample = await probe.run(dns_target({port}), "127.0.0.1")
tell([list(sample), await task])
""",
        )
        assert len(received) == 1
    sample, window_end_us = told
    assert sample[0] == codes.FATE_ANSWERED
    assert sample[1] >= window_end_us


def test_a_refusal_of_the_stack_is_loss_without_a_route_and_void_for_want_of_anything_else():
    told = run("""
control = sockets.Datagram(socket, clock, link, 1500)
for up in (True, False):
    link.up = up
    for number in (101, 113, 105, 11):
        tell(control.refused(number, 5))
""")
    lost, void = codes.FATE_LOST, codes.FATE_VOID
    assert [(s[0], s[3]) for s in told] == [
        *((lost, -101), (lost, -113), (void, -105), (void, -11)),
        *((void, -101), (void, -113), (void, -105), (void, -11)),
    ]


# --- STAMP ------------------------------------------------------------------------------------------------------------

STAMP = """
from witness.probes.stamp import Stamp
media = sockets.Datagram(socket, clock, link, 1500)
asyncio.create_task(media.run())
probe = Stamp(media, quiet, clock, os.urandom, {"k": bytes(range(32)).hex()})
def stamp_target(port, **more):
    options = {plan.OPTION_PACKETS: 50, plan.OPTION_INTERVAL_MS: 20}
    options.update({getattr(plan, k): v for k, v in more.items()})
    return target(codes.METHOD_STAMP, port, 400, options)
def show(reading):
    reading[record.TARGET] = 0
    record.check_reading(reading)
    tell({record.reading_name(k): v for k, v in reading.items()})
"""


def test_a_window_against_a_stateful_reflector():
    reflector = Reflector(drop_in=(5, 6), drop_out=(30,), hold_s=0.004)
    arrived: list[float] = []

    def answer(packet: bytes, n: int) -> list[bytes]:
        arrived.append(time.monotonic())
        return reflector(packet, n)

    with udp_peer(answer) as (port, received):
        (reading,) = run(
            STAMP,
            f"""
show(await probe.run(stamp_target({port}), "127.0.0.1"))
""",
        )
    assert {len(packet) for packet in received} == {172}
    assert [struct.unpack(">I", packet[:4])[0] for packet in received] == list(range(50))
    assert len({packet[14:16] for packet in received}) == 1
    assert reading["sent"] == 50
    assert reading["answered"] + reading["self_delayed"] >= 47
    if not reading["self_delayed"]:
        assert reading["answered"] == 47
        assert reading["lost_by_direction"] == [2, 1]
    assert reading["duplicate"] == reading["malformed"] == 0
    # The reflector's 4 ms are not the network's.
    assert 0 < reading["rtt_us"][0] < 2_000
    # No drift: the last packet left 49 intervals after the first, within what this machine's scheduler does.
    assert arrived[-1] - arrived[0] == pytest.approx(49 * 0.020, abs=0.03)
    assert 980_000 <= reading["span_us"] < 1_600_000


def test_a_window_to_nobody_is_all_lost():
    with udp_peer(lambda packet, n: []) as (port, _):
        (reading,) = run(
            STAMP,
            f"""
show(await probe.run(stamp_target({port}, OPTION_PACKETS=10), "127.0.0.1"))
""",
        )
    assert (reading["sent"], reading["answered"]) == (10, 0)
    assert "rtt_us" not in reading


def test_forged_and_foreign_replies_count_for_nothing():
    def answer(packet: bytes, n: int) -> list[bytes]:
        (good,) = Reflector()(packet, n)
        other_session = good[:14] + bytes([good[14] ^ 1, good[15]]) + good[16:]
        guessed_time = good[:28] + struct.pack(">Q", int.from_bytes(good[28:36], "big") - (1 << 32)) + good[36:]
        never_sent = good[:24] + struct.pack(">I", 4000) + good[28:]
        return [other_session, guessed_time, never_sent, good[:43]]

    with udp_peer(answer) as (port, _):
        told = run(
            STAMP,
            f"""
show(await probe.run(stamp_target({port}, OPTION_PACKETS=10), "127.0.0.1"))
tell(media.strays)
""",
        )
    assert (told[0]["answered"], told[0]["malformed"]) == (0, 10)
    assert told[1] == 30


def test_authenticated_mode_takes_only_what_carries_the_right_mac():
    from witness.probes.stamp_packet import hmac_sha256_128

    def answer(packet: bytes, n: int) -> list[bytes]:
        assert len(packet) == 172
        assert packet[96:112] == hmac_sha256_128(bytes(range(32)), packet[:96])
        sequence, sent, estimate, ssid = struct.unpack(">I12xQHH", packet[:28])
        signed = struct.pack(">I12xQHH4xQ8xI12xQH6xB15x", n, 1 << 32, 1, ssid, 1 << 32, sequence, sent, estimate, 64)
        key = bytes(range(32)) if n % 2 else bytes(32)
        return [signed + hmac_sha256_128(key, signed) + packet[112:]]

    with udp_peer(answer) as (port, _):
        told = run(
            STAMP,
            f"""
show(await probe.run(stamp_target({port}, OPTION_PACKETS=10, OPTION_SECRET="k"), "127.0.0.1"))
try:
    await probe.run(stamp_target({port}, OPTION_SECRET="unknown"), "127.0.0.1")
except Exception as e:
    tell(str(e))
""",
        )
    assert told[0]["malformed"] == 5
    assert told[0]["answered"] + told[0]["self_delayed"] >= 5
    assert "'unknown'" in told[1]
