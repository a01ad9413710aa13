"""The probes and the rest of the project understand one another: reflector, calculator, the lab's SIP and DNS peers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from on_sockets import CONTROL, NEEDS_SOCKETS, fates, run

from linewitness import emodel as calculator
from linewitness.reflector import Reflector, networks, serve
from linewitness_wire import codes
from simulations.lab.peers.dns import DnsServer
from simulations.lab.peers.sip import SipResponder
from witness import emodel

STAMP = """
from witness.probes.stamp import Stamp
media = sockets.Datagram(socket, clock, link, 512)
asyncio.create_task(media.run())
probe = Stamp(media, quiet, clock, os.urandom, {"k": bytes(range(32)).hex()})
def show(reading):
    reading[record.TARGET] = 0
    record.check_reading(reading)
    tell({record.reading_name(k): v for k, v in reading.items()})
"""


@contextmanager
def reflecting(reflector: Reflector) -> Iterator[int]:
    """Serve with our own reflector on 127.0.0.1; gives the port."""
    done = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, args=(reflector, sock, done.is_set))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            done.set()
            thread.join()


@NEEDS_SOCKETS
@pytest.mark.parametrize("key", [None, bytes(range(32))])
def test_our_reflector_and_our_sender_understand_one_another(key):
    reflector = Reflector(allow=networks(["127.0.0.0/8"]), key=key)
    options = "{plan.OPTION_PACKETS: 50, plan.OPTION_SECRET: 'k'}" if key else "{plan.OPTION_PACKETS: 50}"
    with reflecting(reflector) as port:
        readings = run(
            STAMP,
            f"""
for _ in range(2):
    show(await probe.run(target(codes.METHOD_STAMP, {port}, 300, {options}), "127.0.0.1"))
""",
        )
    # Each window is a session of its own to the reflector.
    assert (reflector.counters.reflected, reflector.counters.sessions) == (100, 2)
    for reading in readings:
        assert reading["sent"] == 50
        assert reading["answered"] + reading["self_delayed"] == 50
        assert reading["malformed"] == reading["duplicate"] == reading["reordered"] == 0


@NEEDS_SOCKETS
def test_a_reflector_that_does_not_know_us_stays_silent():
    reflector = Reflector(allow=networks(["192.0.2.0/24"]))
    with reflecting(reflector) as port:
        (reading,) = run(
            STAMP,
            f"""
show(await probe.run(target(codes.METHOD_STAMP, {port}, 100, {{plan.OPTION_PACKETS: 5}}), "127.0.0.1"))
""",
        )
    assert (reading["sent"], reading["answered"], reflector.counters.refused_source) == (5, 0, 5)


@NEEDS_SOCKETS
def test_the_labs_sip_responder_takes_our_options_for_a_request_of_rfc_3261():
    with SipResponder() as sip:
        statuses = (200, 404, 503)
        told = []
        for status in statuses:
            sip.set(code=status)
            told += run(
                CONTROL,
                f"""
from witness.probes.sip import Sip
probe = Sip(control, clock, os.urandom, "noc@example.com", {{}})
tell(await probe.run(target(codes.METHOD_SIP_UDP, {sip.address[1]}), "127.0.0.1"))
""",
            )
    assert fates(told) == [(codes.FATE_ANSWERED, None), (codes.FATE_ANSWERED, 404), (codes.FATE_WRONG, 503)]


@NEEDS_SOCKETS
def test_the_labs_dns_server_answers_our_resolver_and_our_probe():
    zone = {
        "edge.example.net": {"A": ["192.0.2.7"]},
        "_sip._udp.example.net": {"SRV": ["10 5 5060 edge.example.net."]},
    }
    with DnsServer(zone) as dns:
        told = run(
            CONTROL,
            f"""
from witness.probes.dns import Dns
from witness.resolver import Resolver
resolver = Resolver(control, clock, os.urandom, ["127.0.0.1"], {dns.address[1]})
tell(list(await resolver.address("edge.example.net")))
tell([list(service) for service in await resolver.servers_of("_sip._udp.example.net")])
probe = Dns(control, clock, os.urandom)
for fresh in (0, 1):
    options = {{plan.OPTION_NAME: "edge.example.net", plan.OPTION_FRESH: fresh}}
    tell(await probe.run(target(codes.METHOD_DNS, {dns.address[1]}, 300, options), "127.0.0.1"))
""",
        )
    assert told[0] == ["192.0.2.7", False]
    assert told[1] == [["edge.example.net", 5060]]
    assert fates(told[2:]) == [(codes.FATE_ANSWERED, None), (codes.FATE_ANSWERED, 3)]


@given(
    st.integers(0, 500_000),
    st.integers(0, 40),
    st.integers(43, 400),
    st.integers(0, 200_000),
    st.integers(1000, 8000),
)
def test_the_witness_and_the_calculator_rate_alike(delay_us, ie, bpl_tenths, loss_ppm, burst_r_milli):
    want = calculator.rate(
        Ta=delay_us / 1000, Ie=ie, Bpl=bpl_tenths / 10, Ppl=loss_ppm / 10_000, BurstR=burst_r_milli / 1000
    )
    rating = emodel.rating_micro(delay_us, ie, bpl_tenths, loss_ppm, burst_r_milli)
    assert rating / 1e6 == pytest.approx(want.R, abs=0.002)
    assert emodel.mos_milli(rating) / 1000 == pytest.approx(max(1.0, want.MOS), abs=0.001)
