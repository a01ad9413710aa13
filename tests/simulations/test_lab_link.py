"""The link emulator does exactly what its impairment says, and says exactly what it did."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.lab.impairment import Impairment, LinkError, Step, parse_changes, parse_schedule, print_schedule
from simulations.lab.link import DROPPED, LOST, PASSED, Link, reordered


def offer(link: Link, count: int, *, every_us: int = 20_000, size_octets: int = 100) -> list[tuple[int, ...]]:
    return [link.due(size_octets, number * every_us, number) for number in range(count)]


def test_a_perfect_link_releases_each_packet_at_once() -> None:
    link = Link()
    assert offer(link, 3) == [(0,), (20_000,), (40_000,)]
    assert link.counters.as_dict() | {"octets_in": 0, "octets_out": 0} == {
        "packets_in": 3,
        "packets_out": 3,
        "octets_in": 0,
        "octets_out": 0,
        "passed": 3,
        "duplicated": 0,
        "lost": 0,
        "dropped": 0,
        "tail": 0,
        "down": 0,
    }


def test_delay_is_exact_to_the_microsecond() -> None:
    assert Link().set(delay_ms=10.0005).due(1, 7) == (10_007,)
    assert Link().set(delay_ms=12.345).due(1, 1_000_000) == (1_012_345,)


def test_the_same_seed_gives_the_same_fates_and_another_seed_others() -> None:
    words = "delay=20 jitter=15 loss=10 dup=5 fifo=0"
    runs = [offer(Link(seed).set_text(words), 500) for seed in (7, 7, 8)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_changing_delay_and_jitter_leaves_the_losses_as_they_were() -> None:
    lost = []
    for words in ("loss=5", "loss=5 delay=30 jitter=10 dup=3 every=1/50"):
        link = Link(3).set_text(words)
        offer(link, 1000)
        lost.append({passage.number for passage in link.log if passage.verdict == LOST})
    assert lost[0]
    assert lost[1] == {number for number in lost[0] if number % 50}


def test_every_drops_exactly_the_first_n_of_each_period() -> None:
    link = Link().set(every=(5, 100))
    fates = offer(link, 1000)
    assert [number for number, due in enumerate(fates) if not due] == [n for n in range(1000) if n % 100 < 5]
    assert link.counters.dropped == 50
    bursts = [len(list(run)) for dropped, run in groupby(p.verdict == DROPPED for p in link.log) if dropped]
    assert bursts == [5] * 10


def test_an_explicit_list_drops_those_packets_counted_from_when_it_was_set() -> None:
    link = Link()
    offer(link, 10)
    link.set(drop={0, 7, 12})
    assert [number for number, due in enumerate(offer(link, 20)) if not due] == [0, 7, 12]


def test_packets_exempt_from_loss_neither_drop_nor_count_in_the_pattern() -> None:
    link = Link().set(every=(1, 2), loss_pct=0)
    fates = [bool(link.due(42, 0, exempt_from_loss=number % 2 == 0)) for number in range(8)]
    assert fates == [True, False, True, True, True, False, True, True]
    assert link.set(down=True).due(42, 0, exempt_from_loss=True) == ()


def test_loss_of_0_and_of_100_percent_leave_nothing_to_chance() -> None:
    assert all(offer(Link().set(loss_pct=0), 1000))
    assert not any(offer(Link().set(loss_pct=100), 1000))


def test_random_loss_stays_within_four_sigma() -> None:
    link = Link(1).set(loss_pct=2)
    offer(link, 20_000)
    assert abs(link.counters.lost - 400) < 4 * (20_000 * 0.02 * 0.98) ** 0.5


def test_gilbert_elliott_with_certain_transitions_alternates() -> None:
    link = Link().set(ge=(100, 100, 100, 0))
    assert [bool(due) for due in offer(link, 6)] == [False, True, False, True, False, True]


def test_gilbert_elliott_loss_and_burst_length_follow_the_formula() -> None:
    link = Link(5).set(ge=(1, 20, 100, 0))
    offer(link, 50_000)
    bursts = [len(list(run)) for lost, run in groupby(p.verdict == LOST for p in link.log) if lost]
    # Stationary loss p/(p+r) = 4.76 %, mean burst 1/r = 5; sigma is about three times the independent one.
    assert abs(link.counters.lost - 0.0476 * 50_000) < 4 * 3 * (50_000 * 0.0476 * 0.9524) ** 0.5
    assert sum(bursts) / len(bursts) == pytest.approx(5, abs=0.8)


def test_serialisation_is_charged_from_the_first_packet_and_queues() -> None:
    link = Link().set(rate_kbps=1000)
    # 1042 octets are 8336 bits: 8336 us at 1 Mbit/s, by hand.
    assert [link.due(1042, now) for now in (0, 0, 1_000_000)] == [(8_336,), (16_672,), (1_008_336,)]


def test_rounding_of_serialisation_never_accumulates() -> None:
    link = Link().set(rate_kbps=3000)
    last = [link.due(1, 0) for _ in range(3000)][-1]
    assert last == (8_000,)  # 3000 octets at 3 Mbit/s; one octet alone takes 2.666... us


def test_the_queue_drops_its_tail_at_the_limit_in_octets() -> None:
    link = Link().set(rate_kbps=8, limit_bytes=3000)  # one octet a millisecond
    assert [bool(link.due(1000, 0)) for _ in range(5)] == [True, True, True, False, False]
    assert link.due(1000, 999_000) == ()  # 2001 octets still to go
    assert link.due(1000, 1_000_000) == (4_000_000,)
    assert link.counters.tail == 3


def test_an_overloaded_link_loses_what_the_rate_cannot_carry() -> None:
    link = Link().set(rate_kbps=1000, limit_bytes=64_000)
    offer(link, 2880, every_us=6947, size_octets=1042)  # 1.2 Mbit/s for 20 s
    carried_octets = 20_007_360 * 1000 / 8000 + 64_000
    assert link.counters.octets_out == pytest.approx(carried_octets, abs=2 * 1042)
    longest_us = max(p.t_out_us - p.t_in_us for p in link.log if p.t_out_us is not None)
    assert 512_000 - 8_336 < longest_us <= 512_001


def test_with_fifo_jitter_never_reorders_and_without_it_does() -> None:
    ordered = Link(2).set(delay_ms=20, jitter_ms=15)
    offer(ordered, 500, every_us=1000)
    assert reordered(ordered.log) == 0
    loose = Link(2).set(delay_ms=20, jitter_ms=15, fifo=False)
    offer(loose, 500, every_us=1000)
    assert reordered(loose.log) > 100


def test_jitter_stays_within_its_bounds_and_never_releases_before_arrival() -> None:
    link = Link(4).set(delay_ms=5, jitter_ms=8, fifo=False)
    offer(link, 2000)
    delays = [p.t_out_us - p.t_in_us for p in link.log if p.t_out_us is not None]
    assert min(delays) == 0
    assert 12_000 < max(delays) <= 13_000


def test_reordered_counts_packets_overtaken_as_rfc_4737_does() -> None:
    link = Link().set(delay_ms=50, fifo=False)
    link.due(1, 0)
    link.set(delay_ms=10)
    link.due(1, 1000)
    link.due(1, 2000)
    assert reordered(link.log) == 1  # the first came out last: one late packet, though two overtook it


def test_a_duplicate_comes_out_twice_and_is_one_passage() -> None:
    link = Link().set(dup_pct=100, delay_ms=1)
    assert link.due(10, 0) == (1000, 1000)
    assert (link.counters.packets_out, link.counters.duplicated, link.counters.passed) == (2, 1, 1)
    assert len(link.log) == 1


def test_a_schedule_changes_the_link_at_its_times_and_not_before() -> None:
    link = Link()
    link.schedule(parse_schedule("at 200 ms down=0 delay=5; at 0.1 s down=1"), start_us=1_000_000)
    fates = {now: link.due(1, now) for now in (1_099_999, 1_100_000, 1_199_999, 1_200_000)}
    assert fates == {1_099_999: (1_099_999,), 1_100_000: (), 1_199_999: (), 1_200_000: (1_205_000,)}


def test_a_packet_in_flight_keeps_its_release_when_the_link_goes_down() -> None:
    link = Link().set(delay_ms=100)
    assert link.due(1, 0) == (100_000,)
    link.set(down=True)
    assert link.log[0].t_out_us == 100_000


def test_the_log_says_what_happened_to_each_packet() -> None:
    link = Link().set(delay_ms=3, drop={1})
    offer(link, 2)
    assert link.log == [(0, 0, 3000, PASSED, 100, 0), (1, 20_000, None, DROPPED, 100, 1)]


def test_a_log_that_has_forgotten_says_so_instead_of_answering_short() -> None:
    link = Link(log_limit=5)
    offer(link, 8)
    assert [p.number for p in link.log_since(3)] == [3, 4, 5, 6, 7]
    with pytest.raises(LinkError, match="passages 2 to 2 are forgotten"):
        link.log_since(2)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("delay", "unknown word 'delay'"),
        ("dealy=10", "unknown word 'dealy=10'"),
        ("loss=101", "bad value in 'loss=101': wanted a percentage of 0 to 100"),
        ("delay=-1", "wanted a number of 0 or more"),
        ("delay=nan", "wanted a number of 0 or more"),
        ("ge=1,2,3", "four numbers"),
        ("every=6/5", "COUNT <= PERIOD"),
        ("drop=1,x", "bad value in 'drop=1,x'"),
        ("down=2", "wanted 0 or 1"),
        ("limit=1.5", "bad value in 'limit=1.5'"),
    ],
)
def test_a_wrong_word_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(LinkError, match=complaint.replace(".", r"\.")):
        parse_changes(text)


def test_a_wrong_field_or_schedule_line_is_refused_by_name() -> None:
    with pytest.raises(LinkError, match="unknown impairment 'delay'"):
        Link().set(delay=5)
    with pytest.raises(LinkError, match="bad schedule line 'after 3 s down=1'"):
        parse_schedule("after 3 s down=1")


def test_clear_returns_to_a_perfect_link() -> None:
    link = Link().set_text("delay=10 loss=5 every=1/2 down=1")
    assert link.set_text("clear delay=1").impairment == Impairment(delay_ms=1.0)


percent = st.floats(0, 100)
amount = st.floats(0, 1e6)
impairments = st.builds(
    Impairment,
    delay_ms=amount,
    jitter_ms=amount,
    loss_pct=percent,
    ge=st.none() | st.tuples(percent, percent, percent, percent),
    drop=st.frozensets(st.integers(0, 10**6), max_size=5),
    every=st.none() | st.tuples(st.integers(0, 50), st.integers(50, 1000)),
    dup_pct=percent,
    rate_kbps=amount,
    limit_bytes=st.integers(0, 10**9),
    fifo=st.booleans(),
    down=st.booleans(),
)


@given(impairments)
def test_an_impairment_prints_and_parses_to_itself(impairment: Impairment) -> None:
    assert Impairment.parse(str(impairment)) == impairment


@given(st.lists(st.tuples(st.integers(0, 10**10), impairments), max_size=4))
def test_a_schedule_prints_and_parses_to_itself(steps: list[tuple[int, Impairment]]) -> None:
    schedule = tuple(
        sorted(
            (Step(at_us, {"delay_ms": each.delay_ms, "ge": each.ge, "down": each.down}) for at_us, each in steps),
            key=lambda step: step.at_us,
        )
    )
    assert parse_schedule(print_schedule(schedule)) == schedule
