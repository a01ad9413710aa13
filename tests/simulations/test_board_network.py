"""The emulated network: packets cross links, TCP waits out an outage, nodes answer pings, limits of the board hold."""

import pytest

from simulations.board.harness import available_vms, run_on_board
from simulations.board.topology import TopologyError, parse_topology
from tests.simulations.board_world import CONNECT_WIFI, office, play, powered, tcp_echo, udp_echo

vms = pytest.mark.parametrize("vm", available_vms())

PING = (
    CONNECT_WIFI
    + """
def checksum(octets):
    total = sum(struct.unpack(">%dH" % (len(octets) // 2), octets))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff

def ping(address, sequence):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    s.settimeout(0.3)
    request = struct.pack(">BBHHH", 8, 0, 0, 77, sequence) + b"linewitness!"
    request = request[:2] + struct.pack(">H", checksum(request)) + request[4:]
    start = time.ticks_us()
    s.sendto(request, (address, 0))
    try:
        packet, source = s.recvfrom(200)
        rtt_us = time.ticks_diff(time.ticks_us(), start)
        header = (packet[0] & 15) * 4
        kind, code, _, ident, seen = struct.unpack(">BBHHH", packet[header:header + 8])
        return kind, ident, seen, checksum(packet[header:]), source[0], rtt_us
    except OSError as error:
        return error.errno
    finally:
        s.close()
"""
)


@vms
def test_nodes_answer_echo_requests_after_the_links_delay(vm: str) -> None:
    main = (
        PING
        + """
near = ping("192.168.1.1", 1)
far = ping("198.51.100.10", 2)
print(near[:5], 4000 <= near[5] < 30000)
print(far[:5], 12000 <= far[5] < 40000)
print(ping("198.51.100.66", 3), ping("203.0.113.9", 4))
"""
    )
    assert run_on_board(vm, {}, main, network=office()).splitlines() == [
        "(0, 77, 1, 0, '192.168.1.1') True",
        "(0, 77, 2, 0, '198.51.100.10') True",
        "110 110",
    ]


@vms
def test_datagrams_cross_and_come_back_from_the_address_they_were_sent_to(vm: str) -> None:
    main = (
        CONNECT_WIFI
        + """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
start = time.ticks_ms()
s.sendto(b"hello", ("198.51.100.10", 5060))
print(s.recvfrom(100), 12 <= time.ticks_diff(time.ticks_ms(), start) < 60)
"""
    )
    with udp_echo() as port:
        printed = run_on_board(vm, {}, main, network=office(udp_port=port))
    assert printed == "(b'hello', ('198.51.100.10', 5060)) True\n"


@vms
def test_tcp_connects_refuses_hangs_and_carries_octets(vm: str) -> None:
    main = (
        CONNECT_WIFI
        + """
async def main():
    reader, writer = await asyncio.open_connection("198.51.100.10", 5061)
    writer.write(bytes(range(256)) * 40)
    await writer.drain()
    print(await reader.readexactly(10240) == bytes(range(256)) * 40)
    writer.close()
    await writer.wait_closed()
    for address, port in (("198.51.100.10", 81), ("198.51.100.66", 80), ("203.0.113.9", 80)):
        try:
            reader, writer = await asyncio.wait_for_ms(asyncio.open_connection(address, port), 200)
            writer.write(b"x")
            await writer.drain()
            await reader.read(1)
            print("connected?")
        except OSError as error:
            print("errno", error.errno)
        except asyncio.TimeoutError:
            print("timeout")
asyncio.run(main())
"""
    )
    with tcp_echo() as port:
        printed = run_on_board(vm, {}, main, network=office(tcp_port=port))
    assert printed.splitlines() == ["True", "errno 111", "timeout", "timeout"]


@vms
def test_octets_held_by_a_dead_link_arrive_when_it_lives_again(vm: str) -> None:
    main = (
        CONNECT_WIFI
        + """
async def main():
    reader, writer = await asyncio.open_connection("198.51.100.10", 5061)
    print("connected")
    start = time.ticks_ms()
    for n in range(8):
        writer.write(b"line %d\\n" % n)
        await writer.drain()
        await asyncio.sleep_ms(20)
    print("written")
    for n in range(8):
        print((await reader.readline()).decode().strip(), end=" ")
    print("after", time.ticks_diff(time.ticks_ms(), start) > 400)
asyncio.run(main())
"""
    )
    main = main.replace("network.WLAN(network.STA_IF)", "network.LAN()").replace('wlan.connect("office", "secret")', "")
    with tcp_echo() as port, powered(main, vm, "esp32-poe", network=office(tcp_port=port)) as (device, printed):
        play(device, "connected", printed)
        device.network.topology.set_link("access", {"down": True})  # type: ignore[attr-defined]
        play(device, "written", printed)
        end_us = device.scheduler.now_us() + 300_000
        while device.scheduler.now_us() < end_us:
            device.turn(end_us)
        assert b"line" not in printed
        device.network.topology.set_link("access", {"down": False})  # type: ignore[attr-defined]
        device.network.topology.set_link("access", {"loss_pct": 10})  # type: ignore[attr-defined]
        play(device, "after True", printed)
    assert printed.decode().split("\n")[2].strip() == " ".join(f"line {n}" for n in range(8)) + " after True"


@vms
def test_a_dropped_wifi_fails_sends_and_only_the_esp32_comes_back_by_itself(vm: str) -> None:
    main = (
        CONNECT_WIFI
        + """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("connected", wlan.ifconfig()[0], wlan.status("rssi"), wlan.config("channel"))
while wlan.isconnected():
    time.sleep_ms(5)
try:
    s.sendto(b"x", ("192.168.1.1", 5060))
except OSError as error:
    print("errno", error.errno)
for n in range(60):
    if wlan.isconnected():
        break
    time.sleep_ms(10)
print("back" if wlan.isconnected() else "gone")
wlan.connect("office", "secret")
while not wlan.isconnected():
    time.sleep_ms(5)
print("end")
"""
    )
    for profile, ending in (("esp32-devkitc", "back"), ("pico-w", "gone")):
        nic = {"associate_ms": 50, "rssi": -61}
        with powered(main, vm, profile, network=office(), nic=nic) as (device, printed):
            play(device, "connected", printed)
            device.nic.drop()
            play(device, "errno 113", printed)
            device.nic.restore()
            play(device, "end", printed)
        assert printed.decode().splitlines() == ["connected 192.168.1.50 -61 6", "errno 113", ending, "end"]


@vms
def test_the_receive_queue_and_the_number_of_sockets_are_the_boards(vm: str) -> None:
    main = (
        CONNECT_WIFI
        + """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.1)
for n in range(10):
    s.sendto(b"%d" % n, ("198.51.100.10", 5060))
time.sleep_ms(100)
got = []
try:
    while True:
        got.append(s.recv(10))
except OSError:
    print(got)
more = []
try:
    while True:
        more.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
except OSError as error:
    print(1 + len(more), error.errno)
more.pop().close()
more.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
try:
    s.setsockopt(0, 1, 0xb8)
except OSError as error:
    print("errno", error.errno)
"""
    )
    with udp_echo() as port:
        pico = run_on_board(vm, {}, main, network=office(udp_port=port), profile="pico-w")
        esp32 = run_on_board(vm, {}, main, network=office(udp_port=port))
    assert pico.splitlines() == [
        str([b"%d" % n for n in range(4)]),
        "2 12",
        "Warning: lwip.setsockopt() not implemented",
    ]
    assert esp32.splitlines() == [str([b"%d" % n for n in range(6)]), "8 12", "errno 22"]


@vms
def test_every_packet_is_in_the_log_with_its_fate(vm: str) -> None:
    main = (
        CONNECT_WIFI
        + """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(4):
    s.sendto(b"%d" % n, ("198.51.100.10", 5060))
    time.sleep_ms(30)
s.sendto(b"nowhere", ("203.0.113.9", 53))
print("end")
"""
    )
    with udp_echo() as port:
        network = office(udp_port=port)
        network["links"]["access"] = {"delay_ms": 2, "up": {"drop": [1]}, "down": {"drop": [0]}}
        with powered(main, vm, network=network) as (device, printed):
            play(device, "end", printed)
    log = device.network.crossing.log.since(0)  # type: ignore[attr-defined]
    fates = [(bytes.fromhex(each.head), each.direction, each.verdict, each.link) for each in log]
    assert fates == [
        (b"0", "up", "delivered", None),
        (b"0", "down", "dropped", "access"),
        (b"1", "up", "dropped", "access"),
        (b"2", "up", "delivered", None),
        (b"2", "down", "delivered", None),
        (b"3", "up", "delivered", None),
        (b"3", "down", "delivered", None),
        (b"nowhere", "up", "no route", None),
    ]
    for each in log:
        if each.verdict == "delivered":
            assert each.t_out_us is not None
            assert 6000 <= each.t_out_us - each.t_in_us < 30000
            assert each.size_octets == 29


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodez": {}}, "network has unknown keys nodez"),
        ({"nodes": {"a": {"address": "10.0.0.1", "via": ["wan"]}}}, "network.nodes.a.via names no link: wan"),
        ({"nodes": {"a": {"via": []}}}, "network.nodes.a has no address"),
        ({"nodes": {"a": {"address": "10.0.0.1"}, "b": {"address": "10.0.0.1"}}}, "the same address 10.0.0.1"),
    ],
)
def test_a_wrong_topology_is_refused_by_name(change: dict[str, object], said: str) -> None:
    with pytest.raises(TopologyError, match=said):
        parse_topology(change)
