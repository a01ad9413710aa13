"""What a router says of itself: SNMP, UPnP IGD and STUN messages, and the account made of them, on each machine."""

from __future__ import annotations

import pytest
from machines import MACHINES, call
from on_sockets import CONTROL, NEEDS_SOCKETS, fates, run
from peers import udp_peer

from linewitness_wire import codes, record

# reference packets: RFC 3416 messages encoded by an independent library (scapy 2.8.0)
GET_UPTIME = "302602010104067075626c6963a019020101020100020100300e300c06082b060102010103000500"
GET_FOUR = (
    "305802010104067075626c6963a04b02021234020100020100303f300c06082b060102010103000500300e060a2b0601020102020108010500"
    "300e060a2b060102010202010e010500300f060b2b060102011f01010106010500"
)
RESPONSE_FOUR = (
    "306302010104067075626c6963a25602021234020100020100304a301006082b0601020101030043040083d600300f060a2b06010201020201"
    "0801020101300f060a2b060102010202010e0141010c3014060b2b060102011f010101060146051cbe991a14"
)
RESPONSE_ABSENT = "302902010104067075626c6963a21c0201010201000201003011300f060b2b060102011f01010106098100"
UPTIME = bytes.fromhex("2b06010201010300")
STATUS_1 = bytes.fromhex("2b060102010202010801")
ERRORS_1 = bytes.fromhex("2b060102010202010e01")
OCTETS_1 = bytes.fromhex("2b060102011f0101010601")

SNMP = "witness.probes.snmp_message"
IGD = "witness.probes.igd_message"


@pytest.mark.parametrize("machine", MACHINES)
def test_snmp_messages_are_those_of_an_independent_library(machine: str) -> None:
    jobs = [
        (SNMP, "encode_get", (1, b"public", [UPTIME])),
        (SNMP, "encode_get", (0x1234, b"public", [UPTIME, STATUS_1, ERRORS_1, OCTETS_1])),
        (SNMP, "decode_response", (bytes.fromhex(RESPONSE_FOUR),)),
        (SNMP, "decode_response", (bytes.fromhex(RESPONSE_ABSENT),)),
        (SNMP, "column", (OCTETS_1[:-1], 1)),
        (SNMP, "column", (OCTETS_1[:-1], 300)),
    ]
    get_one, get_four, response, absent, column, wide = call(machine, jobs)
    assert (get_one.hex(), get_four.hex()) == (GET_UPTIME, GET_FOUR)
    values = [[UPTIME, 8_640_000], [STATUS_1, 1], [ERRORS_1, 12], [OCTETS_1, 123_456_789_012]]
    assert response == [0x1234, 0, values]
    assert absent[2] == [[OCTETS_1[:-1] + b"\x09", None]]
    assert (column, wide) == (OCTETS_1, OCTETS_1[:-1] + b"\x82\x2c")


@pytest.mark.parametrize("machine", MACHINES)
def test_a_damaged_snmp_response_is_refused_and_never_crashes(machine: str) -> None:
    whole = bytes.fromhex(RESPONSE_FOUR)
    cut = [(SNMP, "decode_response", (whole[:n],)) for n in range(len(whole))]
    assert {answer["error"] for answer in call(machine, cut)} == {"Malformed"}
    flipped = [(SNMP, "decode_response", (whole[:i] + bytes([whole[i] ^ 0x80]) + whole[i + 1 :],)) for i in range(101)]
    for answer in call(machine, flipped):
        assert isinstance(answer, list) or answer["error"] == "Malformed"
    trailing = call(machine, [(SNMP, "decode_response", (whole + b"\0",))])
    assert trailing[0] == {"error": "Malformed", "text": "octets after the message"}


DESCRIPTION = """<?xml version="1.0"?><root><device><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/ctl/L3F</controlURL></service>
</serviceList><deviceList><device><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType>
<serviceId>urn:upnp-org:serviceId:WANCommonIFC1</serviceId><SCPDURL>/WANCfg.xml</SCPDURL><controlURL>%s</controlURL></service>
<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>ctl/IPConn</controlURL></service>
</serviceList></device></deviceList></device></root>"""


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("piece", [7, 512])
def test_a_description_is_read_in_pieces(machine: str, piece: int) -> None:
    text = (DESCRIPTION % "http://192.0.2.1:5000/ctl/CmnIfCfg").encode()
    (services,) = call(machine, [("machine_side", "described", (text, piece, "192.0.2.1", 5000))])
    common, connection = (
        "urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1",
        "urn:schemas-upnp-org:service:WANIPConnection:1",
    )
    assert services == {
        "WANCommonInterfaceConfig": [common, [5000, "/ctl/CmnIfCfg"]],
        "WANIPConnection": [connection, [5000, "/ctl/IPConn"]],
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_a_place_elsewhere_is_refused(machine: str) -> None:
    reply = b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLocation: %s\r\n\r\n"
    here, there = b"http://192.0.2.1:49152/desc.xml", b"http://198.51.100.66:49152/desc.xml"
    jobs = [
        (IGD, "location", (reply % here, "192.0.2.1")),
        (IGD, "location", (reply % there, "192.0.2.1")),
        (IGD, "location", (reply % b"https://192.0.2.1/", "192.0.2.1")),
        (IGD, "location", (reply % b"http://192.0.2.1@198.51.100.66/", "192.0.2.1")),
        (IGD, "location", (b"HTTP/1.1 404 Not Found\r\n\r\n", "192.0.2.1")),
        ("machine_side", "described", ((DESCRIPTION % "http://198.51.100.66/x").encode(), 512, "192.0.2.1", 5000)),
    ]
    told = call(machine, jobs)
    assert told[0] == [49152, "/desc.xml"]
    assert [answer["error"] for answer in told[1:]] == ["Elsewhere", "Elsewhere", "Elsewhere", "Malformed", "Elsewhere"]


def account(machine: str, modulus: int, words: list[list[int | None]]) -> dict[str, object]:
    (reading,) = call(machine, [("machine_side", "account", (modulus, words))])
    assert isinstance(reading, dict)
    return reading


@pytest.mark.parametrize("machine", MACHINES)
def test_counters_are_taken_over_their_wrap_and_the_peak_is_the_busiest_interval(machine: str) -> None:
    top = 2**32
    words = [
        [0, 100, 1, top - 1000, 50, 4_294_967_290],
        [10_000_000, 110, 1, 1_249_000, 1050, 5],  # 1.25 MB in 10 s: 1 Mbit/s
        [20_000_000, 120, 2, 1_250_000, 1050, 5],
    ]
    assert account(machine, top, words) == {
        "uptime_s": 120, "restarts": 0, "wan_status": 2, "counted_us": 20_000_000, "octets": [1_251_000, 1000],
        "peak_kbits": [1000, 0], "in_errors": 11,
    }  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES)
def test_an_interval_over_a_restart_or_without_a_counter_counts_for_nothing(machine: str) -> None:
    words = [[0, 900, 1, 5_000, 5_000, 0], [10, 3, 1, 7_000, 7_000, 0], [1_000_010, 4, 1, 8_000, 7_500, None]]
    reading = account(machine, 2**64, words)
    assert (reading["restarts"], reading["octets"], reading["counted_us"]) == (1, [1000, 500], 1_000_000)
    assert "in_errors" not in reading
    assert account(machine, 2**64, [[0, 5, None, None, None, None]]) == {"uptime_s": 5, "restarts": 0}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_network_contains_its_addresses_and_no_other(machine: str) -> None:
    cases = [("203.0.113.7", "203.0.113.7", True), ("203.0.113.7", "203.0.113.8", False),
             ("203.0.113.0/24", "203.0.113.255", True), ("203.0.113.0/24", "203.0.114.0", False),
             ("0.0.0.0/0", "198.51.100.1", True)]  # fmt: skip
    jobs = [("witness.public", "contains", (net, bytes(map(int, at.split("."))))) for net, at, _ in cases]
    assert call(machine, jobs) == [want for *_, want in cases]


# --- over sockets -----------------------------------------------------------------------------------------------------


def stun_success(request: bytes, address: tuple[int, ...] = (203, 0, 113, 9)) -> bytes:
    masked = bytes(a ^ b for a, b in zip(address, b"\x21\x12\xa4\x42", strict=True))
    attribute = b"\x00\x20\x00\x08\x00\x01" + b"\x12\x34" + masked
    return b"\x01\x01\x00\x0c" + request[4:20] + attribute


@NEEDS_SOCKETS
def test_stun_tells_the_public_address_and_errors_by_their_code() -> None:
    def answer(request: bytes, n: int) -> list[bytes]:
        assert request[:8] == bytes.fromhex("000100002112a442")
        error = b"\x01\x11\x00\x08" + request[4:20] + b"\x00\x09\x00\x04\x00\x00\x04\x14"
        replies = [stun_success(request), error, stun_success(request)[:-1], stun_success(b"\0" * 20)]
        return [replies[n]]

    with udp_peer(answer) as (port, _):
        told = run(
            CONTROL,
            f"""
from witness.probes.stun import Stun
probe = Stun(control, os.urandom, lambda target, octets: tell(octets))
t = target(codes.METHOD_STUN, {port})
for _ in range(4):
    tell(await probe.run(t, "127.0.0.1"))
tell(probe.extras(t))
""",
        )
    assert told[0] == {"hex": "cb007109"}
    lost = (codes.FATE_LOST, None)
    assert fates(told[1:5]) == [(codes.FATE_ANSWERED, None), (codes.FATE_WRONG, 420), lost, lost]
    assert told[5] == {str(record.MALFORMED): 1}


@NEEDS_SOCKETS
def test_snmp_counts_damage_and_ignores_another_request_and_needs_its_secret() -> None:
    def answer(request: bytes, n: int) -> list[bytes]:
        return [[b"\x30\x02\x01"], [bytes.fromhex(RESPONSE_FOUR)]][n]

    with udp_peer(answer) as (port, received):
        told = run(
            CONTROL,
            f"""
from witness.probes.snmp import Snmp, UnknownSecret
probe = Snmp(control, clock, os.urandom, {{"ro": "labpub"}})
t = target(codes.METHOD_SNMP, {port}, options={{plan.OPTION_SECRET: "ro", plan.OPTION_INDEX: 1}})
for _ in range(2):
    tell(await probe.run(t, "127.0.0.1"))
tell(probe.extras(t))
try:
    await probe.run(target(codes.METHOD_SNMP, {port}), "127.0.0.1")
except UnknownSecret as error:
    tell(str(error))
""",
        )
    assert fates(told[:2]) == [(codes.FATE_LOST, None)] * 2
    assert told[2] == {str(record.MALFORMED): 1}
    assert told[3].startswith("the plan names the secret ''")
    assert len(received) == 2
