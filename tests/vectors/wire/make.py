# ruff: noqa: E501 (one case a line reads better than a wrapped one)
"""Writes the golden vectors of the wire format beside itself, one file a case, named for what is wrong with it.

    python tests/vectors/wire/make.py

The octets are those of material.py; nothing is random, so running it again changes nothing. Each case says what reads it (`kind`), what must come of it (`expect`: "ok"
and the `value`, or the error class of linewitness_wire.errors) and `why`.
"""

import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "wire")]

from material import (  # noqa: E402
    ANCHOR,
    BATCH_US,
    BODIES,
    BODY_OCTETS,
    CHAIN,
    EDGE,
    GATEWAY,
    HEADER,
    HEADER_OCTETS,
    LINK,
    PLAN_OCTETS,
    SECRET,
    SITE,
    WINDOW,
    WITNESS,
    changed,
    field_starts,
    flip,
    make_chain,
    version_1,
)  # fmt: skip
from outcome import KINDS_WITHOUT_KEYS, outcome  # noqa: E402
from signed import enrolment_cases, signed_cases  # noqa: E402

from linewitness_wire import bodies, cbor, codes, cose, envelope, record  # noqa: E402

CASES = {}

# The cases are laid by hand: one a line where it fits.
# fmt: off


def case(name, kind, why, expect, octets=None, **more):
    if name in CASES:
        raise ValueError(f"two cases named {name}")
    CASES[name] = {"kind": kind, "why": why, "expect": expect}
    if octets is not None:
        CASES[name]["hex"] = octets.hex()
    CASES[name].update(more)


def cbor_cases():
    good = {
        "zero": (0, "00"), "twenty_three": (23, "17"), "twenty_four": (24, "1818"), "octet_max": (255, "18ff"),
        "two_octets": (256, "190100"), "four_octets": (65536, "1a00010000"),
        "eight_octets": (1 << 32, "1b0000000100000000"), "greatest": ((1 << 64) - 1, "1b" + "ff" * 8),
        "least": (-(1 << 63), "3b7fffffffffffffff"), "minus_one": (-1, "20"), "octets": (b"\1\2", "420102"),
        "text": ("B\u00fcro", "6542c3bc726f"), "text_beyond_the_basic_plane": ("\U0001f4de", "64f09f939e"),
        "empty_map": ({}, "a0"), "map": ({1: None, 30: True}, "a201f6181ef5"), "nested": ([[], [False]], "82808" + "1f4"),
    }  # fmt: skip
    for name, (value, text) in good.items():
        octets = bytes.fromhex(text)
        if cbor.encode(value) != octets:
            raise ValueError(name)
        case(f"good_cbor_{name}", "cbor", "one value, one spelling (RFC 8949 4.2.1)", "ok", octets)
    bad = [
        ("nothing", "", "Truncated", "no item at all"),
        ("argument_cut", "19 01", "Truncated", "a two-octet argument with one octet"),
        ("octet_string_cut", "43 01 02", "Truncated", "three octets announced, two there"),
        ("text_cut", "62 41", "Truncated", "two octets of text announced, one there"),
        ("array_cut", "82 00", "Truncated", "two items announced, one there"),
        ("map_value_cut", "a1 00", "Truncated", "a key without its value"),
        ("array_of_four_billion", "9a ff ff ff ff 00", "Truncated", "a length that would exhaust memory"),
        ("trailing_octet", "00 00", "TrailingOctets", "one octet after the item"),
        ("integer_in_two_octets", "18 17", "NotCanonical", "23 fits the first octet"),
        ("integer_in_three_octets", "19 00 ff", "NotCanonical", "255 fits one octet"),
        ("integer_in_five_octets", "1a 00 00 ff ff", "NotCanonical", "65535 fits two octets"),
        ("integer_in_nine_octets", "1b 00 00 00 00 ff ff ff ff", "NotCanonical", "2^32 - 1 fits four octets"),
        ("length_not_shortest", "58 01 00", "NotCanonical", "a length of 1 fits the first octet"),
        ("indefinite_array", "9f 00 ff", "NotCanonical", "indefinite length"),
        ("indefinite_octets", "5f 41 00 ff", "NotCanonical", "indefinite length"),
        ("reserved_length", "1c", "NotCanonical", "additional information 28 is reserved"),
        ("keys_out_of_order", "a2 02 00 01 00", "NotCanonical", "map keys descend"),
        ("duplicate_key", "a2 01 00 01 00", "DuplicateKey", "key 1 twice"),
        ("negative_key", "a1 20 00", "WrongType", "keys are unsigned integers here"),
        ("text_key", "a1 61 61 00", "WrongType", "keys are unsigned integers here"),
        ("float_half", "f9 3c 00", "WrongType", "no floats in a record"),
        ("float_double", "fb 3f f0 00 00 00 00 00 00", "WrongType", "no floats in a record"),
        ("undefined", "f7", "WrongType", "undefined is no value of ours"),
        ("break_alone", "ff", "WrongType", "a break outside an indefinite item"),
        ("tag", "c1 00", "WrongType", "no tags inside a record"),
        ("integer_too_negative", "3b 80 00 00 00 00 00 00 00", "OutOfRange", "below -2^63"),
        ("text_not_utf8", "62 c3 28", "WrongType", "a lead octet without its continuation"),
        ("text_overlong", "62 c0 af", "WrongType", "an overlong spelling of / (RFC 3629 3)"),
        ("text_overlong_three", "63 e0 80 af", "WrongType", "an overlong spelling of / (RFC 3629 3)"),
        ("text_surrogate", "63 ed a0 80", "WrongType", "a surrogate (RFC 3629 3)"),
        ("text_above_unicode", "64 f4 90 80 80", "WrongType", "above U+10FFFF (RFC 3629 3)"),
        ("nested_nine_deep", "81" * 9 + "00", "OutOfRange", "an item 9 levels down"),
    ]  # fmt: skip
    for name, text, expect, why in bad:
        case(f"bad_cbor_{name}", "cbor", why, expect, bytes.fromhex(text))


def header_cases():
    for seq, batch in enumerate(CHAIN, 1):
        why = ("first of a key, clock not yet set", "clock set by SNTP", "with an anchor")[seq - 1]
        case(f"good_header_{seq}", "header", why, "ok", cose.split(batch).payload)
    greatest = {0: 1, 1: 2**32 - 1, 2: b"\xff" * 32, 3: 2**32 - 1, 4: 2**63 - 1, 5: 2**63 - 1,
                6: [2**63 - 1, 2**48 - 1, 1, 2**32 - 1], 7: b"\xff" * 32, 8: b"\xff" * 32, 9: b"\xff" * 32,
                10: [65535, 65535, 8192], 11: b"\xff" * 32}  # fmt: skip
    case("good_header_greatest", "header", "every field at its upper bound", "ok", cbor.encode(greatest))
    names = ("version", "seq", "previous", "boot", "start", "end", "clock", "plan", "firmware", "body", "counts", "anchor")
    starts = field_starts(HEADER_OCTETS)
    for key, start in enumerate(starts):
        case(f"bad_header_cut_before_{names[key]}", "header", f"ends where field {key} should begin", "Truncated",
             HEADER_OCTETS[:start])
        case(f"bad_header_cut_after_key_{names[key]}", "header", f"ends between key {key} and its value", "Truncated",
             HEADER_OCTETS[: start + 1])
        if key:
            case(f"bad_header_without_{names[key]}", "header", f"field {key} is missing", "OutOfRange",
                 cbor.encode(changed(HEADER, **{f"f{key}": changed})))
        if key not in (6, 10):
            wrong = b"" if key in (0, 1, 3, 4, 5) else 7
            case(f"bad_header_{names[key]}_of_wrong_type", "header", f"field {key} has another type",
                 "UnknownVersion" if key == 0 else "WrongType", cbor.encode(changed(HEADER, **{f"f{key}": wrong})))
    case("bad_header_cut_in_last_octet", "header", "the last octet is missing", "Truncated", HEADER_OCTETS[:-1])
    case("bad_header_trailing_octet", "header", "one octet after the map", "TrailingOctets", HEADER_OCTETS + b"\0")
    bad = [
        ("is_an_array", [1, 2], "WrongType", "not a map"),
        ("version_0", changed(HEADER, f0=0), "UnknownVersion", "there is no version 0"),
        ("version_2", changed(HEADER, f0=2), "UnknownVersion", "a version of the future"),
        ("version_true", changed(HEADER, f0=True), "UnknownVersion", "true is not the integer 1"),
        ("without_version", changed(HEADER, f0=changed), "UnknownVersion", "no version"),
        ("field_12", changed(HEADER, f12=0), "UnknownField", "version 1 has the fields 0..11"),
        ("seq_0", changed(HEADER, f1=0), "OutOfRange", "numbers begin at 1"),
        ("seq_2_to_32", changed(HEADER, f1=2**32), "OutOfRange", "seq is 32 bits"),
        ("seq_negative", changed(HEADER, f1=-1), "OutOfRange", "seq is unsigned"),
        ("seq_true", changed(HEADER, f1=True), "WrongType", "true is not the integer 1"),
        ("previous_31_octets", changed(HEADER, f2=bytes(31)), "OutOfRange", "a digest has 32 octets"),
        ("previous_33_octets", changed(HEADER, f2=bytes(33)), "OutOfRange", "a digest has 32 octets"),
        ("boot_0", changed(HEADER, f3=0), "OutOfRange", "boots are counted from 1"),
        ("ends_before_it_starts", changed(HEADER, f4=2, f5=1), "OutOfRange", "end_us < start_us"),
        ("end_2_to_63", changed(HEADER, f5=2**63), "OutOfRange", "times are below 2^63"),
        ("clock_of_three", changed(HEADER, f6=[0, 0, 1]), "OutOfRange", "clock has four items"),
        ("clock_map", changed(HEADER, f6={}), "WrongType", "clock is an array"),
        ("clock_time_without_source", changed(HEADER, f6=[5, 5, 0, 5]), "OutOfRange", "source none, yet a time"),
        ("clock_bound_without_source", changed(HEADER, f6=[None, 5, 0, None]), "OutOfRange", "source none, yet a bound"),
        ("clock_source_without_time", changed(HEADER, f6=[None, 5, 1, 5]), "WrongType", "source SNTP, yet no time"),
        ("clock_source_2", changed(HEADER, f6=[5, 5, 2, 5]), "OutOfRange", "no such source"),
        ("clock_bound_2_to_48", changed(HEADER, f6=[5, 2**48, 1, 5]), "OutOfRange", "bound_us is 48 bits"),
        ("clock_time_negative", changed(HEADER, f6=[-1, 5, 1, 5]), "OutOfRange", "before 1970"),
        ("counts_of_two", changed(HEADER, f10=[1, 1]), "OutOfRange", "counts has three items"),
        ("counts_text", changed(HEADER, f10="abc"), "WrongType", "counts is an array"),
        ("counts_readings_2_to_16", changed(HEADER, f10=[65536, 0, 0]), "OutOfRange", "16 bits"),
        ("counts_octets_8193", changed(HEADER, f10=[0, 0, 8193]), "OutOfRange", "a body has at most 8192 octets"),
        ("anchor_31_octets", changed(HEADER, f11=bytes(31)), "OutOfRange", "an anchor has 32 octets"),
        ("anchor_zero", changed(HEADER, f11=0), "WrongType", "no anchor is null"),
        ("257_octets", changed(greatest, f12=bytes(8)), "OutOfRange", "a header has at most 256 octets"),
    ]  # fmt: skip
    for name, value, expect, why in bad:
        case(f"bad_header_{name}", "header", why, expect, cbor.encode(value))
    i = starts[1]
    case("bad_header_seq_not_shortest", "header", "seq 2 in two octets", "NotCanonical",
         HEADER_OCTETS[: i + 1] + b"\x18\x02" + HEADER_OCTETS[i + 2 :])
    case("bad_header_duplicate_seq", "header", "13 pairs, key 1 twice", "DuplicateKey",
         b"\xad" + HEADER_OCTETS[1 : i + 2] + b"\x01\x02" + HEADER_OCTETS[i + 2 :])
    case("bad_header_keys_swapped", "header", "version after seq", "NotCanonical",
         b"\xac" + b"\x01\x02" + b"\x00\x01" + HEADER_OCTETS[i + 2 :])
    case("bad_header_eleven_announced", "header", "11 pairs announced, 12 there", "TrailingOctets",
         b"\xab" + HEADER_OCTETS[1:])


def body_cases():
    for n, body in enumerate(BODIES, 1):
        case(f"good_body_{n}", "body", ("boot and plan", "counts, samples, a window, the link", "trimming")[n - 1], "ok",
             version_1(body))
    case("good_body_empty", "body", "nothing happened", "ok", version_1(record.Body([], [])))
    router = {0: 3, 1: 0, 2: 60_000_000, 26: 86400, 27: 1, 28: 1, 29: [2**48 - 1, 0], 30: 55_000_000, 31: [940, 11], 32: 7}
    server = {0: 4, 1: 0, 2: 60_000_000, 33: -1200, 34: 800}
    changes = [[codes.EVENT_PUBLIC_ADDRESS, 5, 3, bytes((203, 0, 113, 9))], [codes.EVENT_BACKUP, 6, 1],
               [codes.EVENT_ROAMED, 7, 6, 11]]  # fmt: skip
    case("good_body_router", "body", "a router's own word, a time server's, changes of the line", "ok",
         version_1(record.Body([router, server], changes)))  # fmt: skip
    lost = {0: 1, 1: 0, 2: 5, 3: 3, 4: 0}
    case("good_body_all_lost", "body", "nothing answered: no rtt_us, never a zero", "ok",
         version_1(record.Body([lost], [])))
    old = version_1(BODIES[1])
    for name, start in zip(("version", "readings", "events"), field_starts(old), strict=True):
        case(f"bad_body_cut_before_{name}", "body", f"ends where {name} should begin", "Truncated", old[:start])
    case("bad_body_trailing_octet", "body", "one octet after the map", "TrailingOctets", old + b"\xf6")

    def readings(*items):
        return {0: 1, 1: list(items), 2: []}

    def events(*items):
        return {0: 1, 1: [], 2: list(items)}

    good_event = [codes.EVENT_STATE, 0, 1, 1]
    bad = [
        ("version_3", {0: 3, 1: [], 2: []}, "UnknownVersion", "a version of the future"),
        ("field_3", {0: 1, 1: [], 2: [], 3: []}, "UnknownField", "version 1 has the fields 0..2"),
        ("without_events", {0: 1, 1: []}, "OutOfRange", "events is missing"),
        ("readings_map", {0: 1, 1: {}, 2: []}, "WrongType", "readings is an array"),
        ("reading_array", readings([]), "WrongType", "a reading is a map"),
        ("reading_without_target", readings(changed(GATEWAY, f0=changed)), "OutOfRange", "target is always there"),
        ("reading_without_start", readings(changed(GATEWAY, f1=changed)), "OutOfRange", "start_us is always there"),
        ("reading_without_span", readings(changed(GATEWAY, f2=changed)), "OutOfRange", "span_us is always there"),
        ("reading_field_200", readings(changed(GATEWAY, f200=0)), "UnknownField", "version 1 has no field 200"),
        ("reading_target_256", readings(changed(GATEWAY, f0=256)), "OutOfRange", "target is 8 bits"),
        ("reading_start_2_to_48", readings(changed(GATEWAY, f1=2**48)), "OutOfRange", "start_us is 48 bits"),
        ("reading_sent_alone", readings(changed(GATEWAY, f4=changed, f5=changed)), "OutOfRange", "sent and answered go together"),
        ("reading_answered_more_than_sent", readings(changed(GATEWAY, f4=3)), "OutOfRange", "3 answers to 2"),
        ("reading_answered_without_rtt", readings(changed(GATEWAY, f5=changed)), "OutOfRange", "answered, yet no delay"),
        ("reading_lost_with_rtt", readings(changed(GATEWAY, f4=0)), "OutOfRange", "all lost, yet a delay"),
        ("reading_rtt_without_counts", readings(changed(GATEWAY, f3=changed, f4=changed)), "OutOfRange", "delay of no samples"),
        ("reading_rtt_null", readings(changed(GATEWAY, f5=None)), "WrongType", "absent, not null"),
        ("reading_rtt_of_three", readings(changed(GATEWAY, f5=[1, 2, 3])), "OutOfRange", "min, mean, p95, max"),
        ("reading_rtt_mean_below_min", readings(changed(GATEWAY, f5=[10, 9, 11, 11])), "OutOfRange", "mean < min"),
        ("reading_rtt_p95_above_max", readings(changed(GATEWAY, f5=[10, 11, 13, 12])), "OutOfRange", "p95 > max"),
        ("reading_rtt_negative", readings(changed(GATEWAY, f5=[-1, 0, 0, 0])), "OutOfRange", "delay is not negative"),
        ("reading_sent_true", readings(changed(GATEWAY, f3=True, f4=1)), "WrongType", "true is not the integer 1"),
        ("reading_late_more_than_answered", readings(changed(WINDOW, f10=241)), "OutOfRange", "late is counted in answered"),
        ("reading_self_delayed_too_many", readings(changed(WINDOW, f8=11)), "OutOfRange", "240 + 11 of 250"),
        ("reading_samples_odd", readings(changed(EDGE, f6=EDGE[6] + b"\0")), "OutOfRange", "two octets a sample"),
        ("reading_samples_too_few", readings(changed(EDGE, f6=EDGE[6][:2])), "OutOfRange", "one sample of two"),
        ("reading_samples_other_fates", readings(changed(EDGE, f6=EDGE[6][2:] * 2)), "OutOfRange", "two lost, one counted answered"),
        ("reading_samples_out_of_order", readings(changed(EDGE, f6=record.pack_sample(1, 50_000) + bytes(2))), "OutOfRange", "the second was sent before the first"),
        ("reading_samples_array", readings(changed(EDGE, f6=[1, 2])), "WrongType", "samples is an octet string"),
        ("reading_codes_twice", readings(changed(EDGE, f7=[[200, 1], [200, 1]])), "OutOfRange", "one entry a code"),
        ("reading_codes_descending", readings(changed(EDGE, f7=[[503, 1], [200, 1]])), "OutOfRange", "codes ascend"),
        ("reading_codes_none_of_it", readings(changed(EDGE, f7=[[200, 0]])), "OutOfRange", "a code that did not occur"),
        ("reading_codes_map", readings(changed(EDGE, f7={200: 1})), "WrongType", "codes is an array of pairs"),
        ("reading_mos_5", readings(changed(WINDOW, f20=5000)), "OutOfRange", "G.107 ends at 4.5"),
        ("reading_mos_0", readings(changed(WINDOW, f20=0)), "OutOfRange", "G.107 gives nothing below 0.988"),
        ("reading_r_without_counts", readings({0: 1, 1: 0, 2: 5, 19: 9000}), "OutOfRange", "R of no samples"),
        ("reading_burst_of_four", readings(changed(WINDOW, f17=[1, 2, 3, 4])), "OutOfRange", "burst has five items"),
        ("reading_rssi_positive", readings(changed(LINK, f21=21)), "OutOfRange", "no receiver hears +21 dBm"),
        ("event_map", events({}), "WrongType", "an event is an array"),
        ("event_empty", events([]), "OutOfRange", "kind and at_us at least"),
        ("event_without_time", events([codes.EVENT_STATE]), "OutOfRange", "kind and at_us at least"),
        ("event_kind_0", events([0, 0]), "UnknownField", "no such kind"),
        ("reading_octets_of_one", readings({**router, 29: [1]}), "OutOfRange", "octets are in and out"),
        ("reading_wan_status_0", readings({**router, 28: 0}), "OutOfRange", "ifOperStatus begins at 1"),
        ("event_public_address_text", events([14, 0, 3, "203.0.113.9"]), "WrongType", "an address is 4 octets"),
        ("event_kind_99", events([99, 0]), "UnknownField", "no such kind"),
        ("event_kind_text", events(["boot", 0]), "WrongType", "a kind is an integer"),
        ("event_time_negative", events([codes.EVENT_STATE, -1, 1, 1]), "OutOfRange", "before the batch"),
        ("event_detail_missing", events(good_event[:-1]), "OutOfRange", "state has two details"),
        ("event_detail_too_many", events([*good_event, 0]), "OutOfRange", "state has two details"),
        ("event_state_2", events([codes.EVENT_STATE, 0, 1, 2]), "OutOfRange", "failing is 0 or 1"),
        ("event_boot_cause_6", events([codes.EVENT_BOOT, 0, 6, 0, 0, 0]), "OutOfRange", "no such reset cause"),
        ("event_address_of_three_octets", events([codes.EVENT_ADDRESS, 0, bytes(3), bytes(4), bytes(4)]), "OutOfRange", "IPv4 has four"),
        ("event_plan_text", events([codes.EVENT_PLAN, 0, "plan"]), "WrongType", "a digest is an octet string"),
        ("8193_octets", events(*[[codes.EVENT_PLAN, 0, bytes(32)]] * 222), "OutOfRange", "a body has at most 8192 octets"),
    ]  # fmt: skip
    for name, value, expect, why in bad:
        case(f"bad_body_{name}", "body", why, expect, cbor.encode(value))
    case("good_counts", "counts", "the header counts what the body holds", "ok", BODY_OCTETS, header=HEADER_OCTETS.hex())
    for name, counts in (("readings", [3, 0]), ("events", [4, 1]), ("octets", [4, 0])):
        size = len(BODY_OCTETS) + (name == "octets")
        wrong = cbor.encode(changed(HEADER, f10=[*counts, size]))
        case(f"bad_counts_{name}", "counts", f"the header counts other {name}", "OutOfRange", BODY_OCTETS, header=wrong.hex())


def short_body_cases():
    """Bodies of version 2: what a reading leaves out where the rest says it."""

    def short(*readings):
        return cbor.encode({0: 2, 1: list(readings), 2: []})

    for n, body in enumerate(BODIES, 1):
        case(f"good_short_body_{n}", "body", f"version 2 of good_body_{n}", "ok", bodies.encode(body, BATCH_US), span_us=BATCH_US)
    good = {
        "quiet": (short({3: 6, 5: [1004, 3, 4, 0]}, {3: 6, 5: [20_000, 900, 1_000, 9]}), "targets 0 and 1, all the batch long, all answered"),
        "all_lost": (short({3: 60}), "answered left out without rtt_us: nothing was"),
        "self_delayed": (short({3: 6, 5: [1, 0, 0, 0], 8: 2}), "answered left out: the 4 that were measured"),
        "all_self_delayed": (short({3: 2, 8: 2}), "nothing was measured"),
        "later_target": (short({0: 7, 3: 1}, {3: 1}, {0: 8, 3: 1}, {0: 2, 3: 1}), "targets 7, 8, 8 again, 2"),
        "window_that_lost_nothing": (short({1: 9, 2: 5_000_000, 3: 250, 5: [19_000, 2_000, 3_000, 700], 9: 0, 14: 986, 19: 9_321, 20: 4_409}),
                                     "pdv_us, lost_by_direction and burst_r_milli follow; burst says nothing then"),
        "window_joined": (short({1: 9, 3: 500, 5: [19_000, 2_000, 3_000, 700], 9: 0, 14: 986, 15: [2_900, 3_600], 19: 9_321, 20: 4_409}),
                          "until the batch's end; the greatest pdv_us is of one window, rtt_us of two"),
        "window_lost_in_one_direction": (short({1: 9, 2: 5, 3: 9, 4: 8, 5: [7, 0, 0, 0], 14: 0, 16: [1, 0], 17: [0, 28, 0, 180, 0], 18: 1_000, 19: 1, 20: 1_000}),
                                         "a loss: burst and burst_r_milli are stated"),
        "link": (short({21: -61, 22: 6, 23: 0}), "up_us left out: up all the while"),
        "link_down": (short({23: 0, 24: 0}), "never up"),
    }  # fmt: skip
    for name, (octets, why) in good.items():
        case(f"good_short_body_{name}", "body", why, "ok", octets, span_us=BATCH_US)
    window = {1: 9, 2: 5_000_000, 3: 250, 5: [19_000, 2_000, 3_000, 700], 9: 0, 14: 986, 19: 9_321, 20: 4_409}
    bad = [
        ("target_stated", short({0: 0, 3: 1}), "NotCanonical", "the first is 0 without saying so"),
        ("next_target_stated", short({3: 1}, {0: 1, 3: 1}), "NotCanonical", "one more than the one before"),
        ("start_stated", short({1: 0, 3: 1}), "NotCanonical", "begins with the batch without saying so"),
        ("span_stated", short({2: BATCH_US, 3: 1}), "NotCanonical", "ends with the batch without saying so"),
        ("span_to_the_end_stated", short({1: 1, 2: BATCH_US - 1, 3: 1}), "NotCanonical", "ends with the batch without saying so"),
        ("answered_all_stated", short({3: 1, 4: 1, 5: [1, 0, 0, 0]}), "NotCanonical", "all that was measured"),
        ("answered_none_stated", short({3: 1, 4: 0}), "NotCanonical", "nothing, as no rtt_us says"),
        ("self_delayed_0_stated", short({3: 1, 8: 0}), "NotCanonical", "a count of 0"),
        ("late_0_stated", short(changed(window, f10=0)), "NotCanonical", "a count of 0"),
        ("duplicate_0_stated", short(changed(window, f11=0)), "NotCanonical", "a count of 0"),
        ("reordered_0_stated", short(changed(window, f12=0)), "NotCanonical", "a count of 0"),
        ("malformed_0_stated", short(changed(window, f13=0)), "NotCanonical", "a count of 0"),
        ("pdv_stated", short(changed(window, f15=[3_000, 3_700])), "NotCanonical", "what rtt_us says"),
        ("lost_by_direction_0_stated", short(changed(window, f16=[0, 0])), "NotCanonical", "all was answered"),
        ("burst_0_stated", short(changed(window, f17=[0, 0, 0, 5_000, 0])), "NotCanonical", "nothing was lost"),
        ("burst_r_1000_stated", short(changed(window, f18=1_000)), "NotCanonical", "nothing was lost"),
        ("up_us_stated", short({23: 0, 24: BATCH_US}), "NotCanonical", "up all the while"),
        ("begins_after_the_batch", short({1: BATCH_US + 1, 3: 1}), "OutOfRange", "no time is left for its span"),
        ("answered_alone", short({4: 1, 5: [1, 0, 0, 0]}), "OutOfRange", "sent and answered go together"),
        ("answered_with_rtt_of_none", short({3: 1, 4: 0, 5: [1, 0, 0, 0]}), "OutOfRange", "nothing answered, yet a delay"),
        ("self_delayed_too_many", short({3: 1, 5: [1, 0, 0, 0], 8: 2}), "OutOfRange", "2 of 1 sent"),
        ("rtt_sums_up_beyond_32_bits", short({3: 1, 5: [2**32 - 1, 0, 1, 0]}), "OutOfRange", "p95 is 32 bits"),
        ("rtt_mean_above_max", short({3: 2, 5: [10, 5, 2, 2]}), "OutOfRange", "mean 15, max 14"),
        ("rtt_of_three", short({3: 1, 5: [1, 0, 0]}), "OutOfRange", "min and three differences"),
        ("rtt_falls", short({3: 1, 5: [10, -1, 0, 0]}), "OutOfRange", "no mean below min"),
        ("target_256", short({0: 255, 3: 1}, {3: 1}), "OutOfRange", "target is 8 bits"),
        ("field_48", short({48: 0}), "UnknownField", "no such field"),
        ("target_text", short({0: "gateway"}), "WrongType", "target is an integer"),
        ("reading_array", short([]), "WrongType", "a reading is a map"),
        ("readings_map", cbor.encode({0: 2, 1: {}, 2: []}), "WrongType", "readings is an array"),
    ]  # fmt: skip
    for name, octets, expect, why in bad:
        case(f"bad_short_body_{name}", "body", why, expect, octets, span_us=BATCH_US)


def plan_cases():
    case("good_plan", "plan", "two targets", "ok", PLAN_OCTETS)
    fields = cbor.decode(PLAN_OCTETS)
    target = fields[5][0]
    bad = [
        ("version_true", changed(fields, f0=True), "UnknownVersion", "true is not the integer 1"),
        ("version_2", changed(fields, f0=2), "UnknownVersion", "a version of the future"),
        ("without_resolvers", changed(fields, f8=changed), "OutOfRange", "field 8 is missing"),
        ("field_10", changed(fields, f10=0), "UnknownField", "version 1 has the fields 0..9"),
        ("site_with_slash", changed(fields, f1="leeds/x"), "OutOfRange", "a slash could spell another place"),
        ("site_empty", changed(fields, f1=""), "OutOfRange", "a place has a name"),
        ("witness_not_ascii", changed(fields, f2="b\u00fcro"), "OutOfRange", "names are ASCII"),
        ("issued_negative", changed(fields, f3=-1), "OutOfRange", "before 1970"),
        ("batch_0", changed(fields, f4=0), "OutOfRange", "a batch lasts 1..3600 s"),
        ("no_targets", changed(fields, f5=[]), "OutOfRange", "1..64 targets"),
        ("sixty_five_targets", changed(fields, f5=[target] * 65), "OutOfRange", "1..64 targets"),
        ("resolver_integer", changed(fields, f8=[1]), "WrongType", "a resolver is an address in text"),
        ("target_without_name", changed(fields, f5=[changed(target, f0=changed)]), "OutOfRange", "fields 0..9"),
        ("target_segment_9", changed(fields, f5=[changed(target, f1=9)]), "OutOfRange", "no such segment"),
        ("target_port_65536", changed(fields, f5=[changed(target, f5=65536)]), "OutOfRange", "a port is 16 bits"),
        ("target_period_199", changed(fields, f5=[changed(target, f6=199)]), "OutOfRange", "200 ms at least"),
        ("target_option_99", changed(fields, f5=[changed(target, f9={99: 0})]), "UnknownField", "no such option"),
        ("target_option_text_for_number", changed(fields, f5=[changed(target, f9={1: "x"})]), "WrongType", "packets is a number"),
        ("target_option_number_for_text", changed(fields, f5=[changed(target, f9={0: 5})]), "WrongType", "name is text"),
    ]  # fmt: skip
    for name, value, expect, why in bad:
        case(f"bad_plan_{name}", "plan", why, expect, cbor.encode(value))
    case("bad_plan_trailing_octet", "plan", "one octet after the map", "TrailingOctets", PLAN_OCTETS + b"\0")


def cose_cases():
    good = CHAIN[1]
    parts = cose.split(good)
    head, payload, signature = cbor.encode(parts.protected), cbor.encode(parts.payload), cbor.encode(parts.signature)
    case("good_cose", "cose", "the one form that is read", "ok", good)
    boundaries = {
        "nothing": 0, "after_tag": 1, "after_array": 2, "in_protected": 9, "after_protected": 2 + len(head),
        "after_unprotected": 3 + len(head), "in_payload": 40, "after_payload": 3 + len(head) + len(payload),
        "in_signature": len(good) - 32, "before_last_octet": len(good) - 1,
    }  # fmt: skip
    for name, end in boundaries.items():
        case(f"bad_cose_cut_{name}", "cose", f"{end} of {len(good)} octets", "Truncated", good[:end])
    bad = [
        ("trailing_octet", good + b"\0", "TrailingOctets", "one octet after the signature"),
        ("untagged", good[1:], "WrongType", "tag 18 is part of the form"),
        ("tag_98", b"\xd8\x62" + good[1:], "WrongType", "COSE_Sign, not COSE_Sign1"),
        ("array_of_five", b"\xd2\x85" + good[2:] + b"\0", "WrongType", "four items"),
        ("unprotected_kid", b"\xd2\x84" + head + b"\xa1\x04\x48" + parts.kid + payload + signature, "NotCanonical", "kid is protected here, the unprotected header is empty"),
        ("unprotected_array", b"\xd2\x84" + head + b"\x80" + payload + signature, "NotCanonical", "the unprotected header is a map"),
        ("payload_detached", b"\xd2\x84" + head + b"\xa0\xf6" + signature, "WrongType", "the payload is inside"),
        ("signature_63_octets", b"\xd2\x84" + head + b"\xa0" + payload + b"\x58\x3f" + parts.signature[:63], "OutOfRange", "64 octets"),
        ("signature_65_octets", b"\xd2\x84" + head + b"\xa0" + payload + b"\x58\x41" + parts.signature + b"\0", "OutOfRange", "64 octets"),
        ("signature_text", b"\xd2\x84" + head + b"\xa0" + payload + b"\x78\x40" + b"x" * 64, "WrongType", "octets, not text"),
        ("alg_eddsa", good.replace(b"\xa2\x01\x32\x04\x48", b"\xa2\x01\x27\x04\x48"), "UnknownVersion", "alg -8 is deprecated (RFC 9864); one algorithm, pinned"),
        ("alg_none", good.replace(b"\xa2\x01\x32\x04\x48", b"\xa2\x01\x00\x04\x48"), "UnknownVersion", "no such algorithm"),
        ("kid_7_octets", b"\xd2\x84" + cbor.encode(b"\xa2\x01\x32\x04\x47" + bytes(7)) + b"\xa0" + payload + signature, "Truncated", "kid has 8 octets"),
        ("kid_9_octets", b"\xd2\x84" + cbor.encode(b"\xa2\x01\x32\x04\x49" + bytes(9)) + b"\xa0" + payload + signature, "TrailingOctets", "kid has 8 octets"),
        ("kid_text", good.replace(b"\xa2\x01\x32\x04\x48", b"\xa2\x01\x32\x04\x68"), "WrongType", "kid is an octet string"),
        ("protected_swapped", b"\xd2\x84" + cbor.encode(b"\xa2\x04\x48" + parts.kid + b"\x01\x32") + b"\xa0" + payload + signature, "UnknownVersion", "keys descend"),
        ("protected_empty", b"\xd2\x84\x40\xa0" + payload + signature, "Truncated", "alg and kid are protected"),
        ("payload_length_not_shortest", b"\xd2\x84" + head + b"\xa0\x59\x00" + payload[1:] + signature, "NotCanonical", "a length in three octets that fits two"),
    ]  # fmt: skip
    for name, octets, expect, why in bad:
        case(f"bad_cose_{name}", "cose", why, expect, octets)


def chain_cases():
    def chain_case(name, batches, expect, why):
        case(name, "chain", why, expect, batches=[b.hex() for b in batches])

    a, b, c = CHAIN
    chain_case("good_chain", CHAIN, "ok", "three batches of one boot")
    reboot = make_chain(BODIES[:2], f3=8, f4=0, f5=1)
    chain_case("good_chain_over_a_reboot", reboot, "ok", "a new boot begins at 0 again")
    chain_case("bad_chain_gap", [a, c], "Gap", "batch 2 is left out")
    chain_case("bad_chain_first_left_out", [b, c], "Gap", "batch 1 is left out")
    chain_case("bad_chain_reordered", [a, c, b], "Gap", "batches 2 and 3 change places")
    chain_case("bad_chain_replay", [a, b, c, b], "Backwards", "batch 2 comes again")
    chain_case("bad_chain_same_twice", [a, b, b], "Backwards", "batch 2 comes twice")
    fork = make_chain(BODIES[:2], f9=hashlib.sha256(b"another body").digest())[1]
    chain_case("bad_chain_fork", [a, b, fork], "Fork", "another batch 2, signed by the same key")
    chain_case("bad_chain_fork_in_place", [a, fork, c], "Fork", "batch 3 names the other batch 2")
    chain_case("bad_chain_first_names_a_predecessor", make_chain(BODIES[:1], f2=b"\1" * 32), "Fork",
               "batch 1 names zeros")
    chain_case("bad_chain_boot_goes_back", make_chain(BODIES[:2], f3=6), "Backwards", "boot 6 after boot 7")
    chain_case("bad_chain_time_goes_back", make_chain(BODIES[:2], f4=59_999_999), "Backwards",
               "begins before its predecessor ends, in one boot")


def envelope_cases():
    case("good_batch", "batch", "a batch and its body", "ok", envelope.encode_batch(CHAIN[1], BODY_OCTETS))
    case("good_batch_trimmed", "batch", "the body was trimmed", "ok", envelope.encode_batch(CHAIN[1], None))
    bad = [
        ("of_one", [CHAIN[1]], "WrongType", "two items"),
        ("of_three", [CHAIN[1], None, None], "WrongType", "two items"),
        ("map", {0: CHAIN[1], 1: None}, "WrongType", "an array"),
        ("body_false", [CHAIN[1], False], "WrongType", "octets or null"),
        ("cose_null", [None, BODY_OCTETS], "WrongType", "octets"),
    ]
    for name, value, expect, why in bad:
        case(f"bad_batch_{name}", "batch", why, expect, cbor.encode(value))
    place = {"secret": SECRET.hex(), "site": SITE, "witness": WITNESS}
    ack = envelope.encode_ack(SECRET, SITE, WITNESS, envelope.Ack(2, cose.digest(CHAIN[1]), ANCHOR))
    bare = envelope.encode_ack(SECRET, SITE, WITNESS, envelope.Ack(2, cose.digest(CHAIN[1]), None))
    case("good_ack", "ack", "stored, with an anchor", "ok", ack, **place)
    case("good_ack_without_anchor", "ack", "stored, nothing timestamped yet", "ok", bare, **place)
    for name, index in (("seq", 7), ("digest", 8), ("anchor", 40), ("mac", 103)):
        case(f"bad_ack_flip_{name}", "ack", f"one bit of {name} flipped", "BadFrame", flip(ack, index), **place)
    case("bad_ack_cut", "ack", "103 octets", "BadFrame", ack[:-1], **place)
    case("bad_ack_trailing_octet", "ack", "105 octets", "BadFrame", ack + b"\0", **place)
    case("bad_ack_of_another_witness", "ack", "made for another witness", "BadFrame", ack, **{**place, "witness": "attic"})
    case("bad_ack_of_another_secret", "ack", "made with another secret", "BadFrame", ack, **{**place, "secret": "00" * 32})
    commands = {
        "resend": envelope.Command(5, codes.COMMAND_RESEND, 2),
        "plan": envelope.Command(6, codes.COMMAND_PLAN, PLAN_OCTETS),
        "reboot": envelope.Command(2**63, codes.COMMAND_REBOOT, None),
    }
    for name, command in commands.items():
        case(f"good_command_{name}", "command", "counter, code, argument", "ok",
             envelope.encode_command(SECRET, SITE, WITNESS, command), **place)
    resend = envelope.encode_command(SECRET, SITE, WITNESS, commands["resend"])
    for name, index in (("counter", 7), ("code", 9), ("mac", len(resend) - 1)):
        case(f"bad_command_flip_{name}", "command", f"one bit of {name} flipped", "BadFrame", flip(resend, index), **place)
    case("bad_command_is_an_ack", "command", "an acknowledgement is no command", "BadFrame", ack, **place)
    case("bad_command_empty", "command", "no octets", "BadFrame", b"", **place)

    def sealed(said):
        prefix = f"linewitness/1/command/{SITE}/{WITNESS}\0".encode()
        return said + envelope.hmac_sha256(SECRET, prefix + said)

    case("bad_command_without_code", "command", "authentic, but a counter alone", "OutOfRange", sealed(bytes(8)), **place)
    case("bad_command_code_true", "command", "authentic, but true is not the integer 1", "WrongType",
         sealed(bytes(8) + cbor.encode([True, None])), **place)
    case("bad_command_argument_text", "command", "authentic, but an argument is an integer, octets or null", "WrongType",
         sealed(bytes(8) + cbor.encode([1, "x"])), **place)


def all_cases():
    """Return {file name without .json: case}, the values of the good ones filled in."""
    CASES.clear()
    for make in (cbor_cases, header_cases, body_cases, short_body_cases, plan_cases, cose_cases, chain_cases, envelope_cases):
        make()
    signed_cases(case)
    enrolment_cases(case)
    for one in CASES.values():
        if one["expect"] == "ok" and one["kind"] in KINDS_WITHOUT_KEYS:
            one["value"] = outcome(one)[1]
    return CASES


def main():
    cases = all_cases()
    for old in HERE.glob("*.json"):
        if old.stem not in cases:
            old.unlink()
    for name, one in cases.items():
        (HERE / f"{name}.json").write_text(json.dumps(one, indent=1, ensure_ascii=True) + "\n")
    print(f"{len(cases)} vectors, {sum(name.startswith('bad_') for name in cases)} of them bad")


if __name__ == "__main__":
    main()
