"""Real packets over the TAP wire: what ping and fping count is what the wire logged."""

import re
import statistics
from collections.abc import Iterator

import pytest

from simulations.lab.frame import describe
from simulations.lab.impairment import LinkError
from simulations.lab.link import DOWN, DROPPED, PASSED
from simulations.lab.netns import NamespaceError, Namespaces, cannot_make
from simulations.lab.wire import Wire, WireError
from simulations.lab.wire_handle import Crossing, WireHandle

ANCHOR = "192.0.2.1"
REASON = cannot_make("tap")
needs_namespaces = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.fixture(scope="module")
def lab() -> Iterator[Namespaces]:
    with Namespaces(access="tap") as lab:
        yield lab


@pytest.fixture
def wire(lab: Namespaces) -> Iterator[WireHandle]:
    with WireHandle(lab, seed=1) as wire:
        lab.run("branch-probe", "ping", "-n", "-c1", "-W2", ANCHOR)  # so that no ARP is in the measured packets' way
        yield wire


def ping(lab: Namespaces, count: int, interval_s: float = 0.01) -> dict[int, float]:
    """RTT in ms of each answered echo request, by sequence number."""
    done = lab.run("branch-probe", "ping", "-n", "-c", str(count), "-i", str(interval_s), "-W", "1", ANCHOR)
    return {int(sequence): float(rtt) for sequence, rtt in re.findall(r"icmp_seq=(\d+) .*time=([\d.]+)", done.stdout)}


def echoes(crossings: list[Crossing], kind: str) -> dict[int, Crossing]:
    return {int(c.key.rpartition("=")[2]): c for c in crossings if f"echo-{kind}" in c.key}


@needs_namespaces
def test_every_hop_of_the_topology_answers(lab: Namespaces, wire: WireHandle) -> None:
    for hop in ("192.168.10.1", "192.168.10.30", "100.64.10.1", "192.0.2.3", "198.51.100.10", "203.0.113.10"):
        assert lab.run("branch-probe", "ping", "-n", "-c1", "-W2", hop).returncode == 0, hop


@needs_namespaces
def test_the_router_keeps_strangers_out_and_hides_the_branch(lab: Namespaces, wire: WireHandle) -> None:
    lab.run("isp", "ip", "route", "add", "192.168.10.0/24", "via", "100.64.10.2")
    assert lab.run("isp", "ping", "-n", "-c1", "-W1", "192.168.10.20").returncode == 1
    assert not [c for c in wire.log("ab") if "192.168." in c.key]


@needs_namespaces
def test_what_ping_misses_is_exactly_what_the_wire_dropped(lab: Namespaces, wire: WireHandle) -> None:
    marks = {name: each["packets_in"] for name, each in wire.counters().items()}
    wire.set("ab:every=2/10 ba:drop=3,4,20")
    answered = ping(lab, 100)
    up = echoes(wire.log("ab", marks["ab"]), "request")
    assert [sequence for sequence, crossing in up.items() if crossing.verdict == DROPPED] == [
        sequence for sequence in range(1, 101) if (sequence - 1) % 10 < 2
    ]
    down = echoes(wire.log("ba", marks["ba"]), "reply")
    assert set(answered) == {sequence for sequence, crossing in down.items() if crossing.verdict == PASSED}
    assert len(answered) == 100 - 20 - 3


@needs_namespaces
def test_random_loss_and_delay_seen_by_ping_are_the_wires_own(lab: Namespaces, wire: WireHandle) -> None:
    marks = {name: each["packets_in"] for name, each in wire.counters().items()}
    wire.set("both:delay=10 both:jitter=2.5 both:loss=10 both:fifo=0")
    rtt_ms = ping(lab, 200)
    up = echoes(wire.log("ab", marks["ab"]), "request")
    down = echoes(wire.log("ba", marks["ba"]), "reply")
    assert len(up) == 200
    assert set(rtt_ms) == {sequence for sequence, crossing in down.items() if crossing.written_us is not None}
    excess_ms = [
        rtt - (down[seq].written_us - up[seq].t_in_us) / 1000  # type: ignore[operator]
        for seq, rtt in rtt_ms.items()
    ]
    # Outside the wire there are only two bridges and a router: well under a millisecond in the median.
    assert 0 <= statistics.median(excess_ms) < 1
    assert statistics.median(rtt_ms.values()) == pytest.approx(20, abs=1.5)


@needs_namespaces
def test_a_schedule_takes_the_wire_down_and_up_again(lab: Namespaces, wire: WireHandle) -> None:
    mark = wire.counters()["ab"]["packets_in"]
    wire.schedule("ab", "at 300 ms down=1; at 600 ms down=0")
    answered = ping(lab, 100)
    up = echoes(wire.log("ab", mark), "request")
    blocked = [sequence for sequence, crossing in up.items() if crossing.verdict == DOWN]
    assert 15 <= len(blocked) <= 35
    assert blocked == list(range(blocked[0], blocked[-1] + 1))
    assert set(answered) == set(range(1, 101)) - set(blocked)


@needs_namespaces
def test_the_log_is_read_whole_over_several_pages(lab: Namespaces, wire: WireHandle) -> None:
    ping(lab, 700, interval_s=0.001)
    log = wire.log("ab")
    assert [crossing.number for crossing in log] == list(range(wire.counters()["ab"]["packets_in"]))
    assert len(echoes(log, "request")) == 700


@needs_namespaces
def test_a_wrong_request_is_refused_and_the_wire_carries_on(lab: Namespaces, wire: WireHandle) -> None:
    with pytest.raises(WireError, match="unknown word 'dealy=5'"):
        wire.set("both:dealy=5")
    with pytest.raises(WireError, match="unknown direction 'up'"):
        wire.set("up:delay=5")
    assert len(ping(lab, 3)) == 3


@needs_namespaces
def test_a_wire_without_its_devices_says_which(lab: Namespaces, wire: WireHandle) -> None:
    with pytest.raises(WireError, match=r"cannot hold .*branch-router:wan0.*is the lab up with access tap, and free"):
        WireHandle(lab).start()


@needs_namespaces
def test_going_down_leaves_no_namespace_and_twice_is_harmless() -> None:
    lab = Namespaces()
    lab.up()
    sleeper = lab.start("carrier", "sleep", "60")
    lab.down()
    assert sleeper.wait(timeout=5) != 0
    lab.down()
    gone = lab.run("carrier", "true")
    assert gone.returncode
    assert "No such file" in gone.stderr


def test_an_unknown_namespace_is_refused_by_name() -> None:
    with pytest.raises(NamespaceError, match="no namespace 'moon'"):
        Namespaces("x").name("moon")


def test_a_set_with_one_wrong_word_changes_nothing() -> None:
    wire = Wire(-1, -2, None)
    with pytest.raises(LinkError, match="loss=200"):
        wire.set("ab:delay=5 ba:loss=200")
    assert wire.directions["ab"].link.impairment.delay_ms == 0


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        ("ffffffffffff0200000000010806" + "00" * 28, "arp"),
        ("ffffffffffff02000000000186dd" + "00" * 40, "ethertype 86dd"),
        (
            "020000000002020000000001080045000054000040004001000064400a02c0000201" + "08000000004d0003",
            "icmp 100.64.10.2>192.0.2.1 echo-request id=77 seq=3",
        ),
        (
            "020000000002020000000001080045000024000040004011000064400a02c00002010fa0035e00100000000000030000000f",
            "udp 100.64.10.2:4000>192.0.2.1:862 000000030000000f",
        ),
        (
            "020000000002020000000001080045000028000040004006000064400a02c00002010fa0005000000001000000025012000000000000",
            "tcp 100.64.10.2:4000>192.0.2.1:80 SA seq=1 len=0",
        ),
        (
            "020000000002020000000001080045000028000020014011000064400a02c0000201" + "00" * 20,
            "ip 17 100.64.10.2>192.0.2.1",
        ),
    ],
)
def test_a_frame_is_described_by_what_identifies_it(frame: str, line: str) -> None:
    assert describe(bytes.fromhex(frame)) == line
