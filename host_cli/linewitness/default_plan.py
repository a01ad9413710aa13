"""The default plan as a table in words, for docs/default-plan.md: printed by `python -m linewitness.default_plan`."""

from __future__ import annotations

from linewitness.cost import cost
from linewitness.plan import compile_plan
from linewitness.site import Site, Surroundings, default_table
from linewitness_wire import plan as wire

AROUND = Surroundings(
    edge="sip.provider.example",
    reflector="reflector.example.com",
    isp_hop="203.0.113.1",
    lan_hosts=("192.168.1.2",),
    phones=("192.168.1.30",),
    media="media.provider.example",
    second_edge="sip.second.example",
    second_media="media.second.example",
    stun="stun.example.com",
    snmp_index=2,
)


def text() -> str:
    """Return the table in Markdown: a row a target, and the sums."""
    made = default_table("leeds", "ISP", "Provider", None, "UTC", {"kind": "ethernet"}, AROUND)
    site = Site("leeds", "ISP", "Provider", None, "UTC", made["network"], made["plan"], made["target"])
    plan = wire.decode_plan(compile_plan(site, "w1", 0, b"salt"))
    found = cost(plan)
    segments = {target["name"]: target["segment"] for target in made["target"]}
    rows = ["| target | segment | method | period | octets an hour up | down | octets in a batch |", "| --- " * 7 + "|"]
    for line in found.lines:
        up, down = (round(octets) for octets in (line.hourly.octets_up, line.hourly.octets_down))
        where = segments.get(line.name, "witness")
        period = f"{line.period_ms / 1000:g} s"
        rows.append(f"| {line.name} | {where} | {line.method} | {period} | {up} | {down} | {line.batch_octets or ''} |")
    up_kbits, down_kbits = found.kbits("up"), found.kbits("down")
    rows += [
        "",
        f"All together {up_kbits:.1f} kbit/s up and {down_kbits:.1f} kbit/s down on average, of which",
        f"{found.kbits('up', line_only=True):.1f} and {found.kbits('down', line_only=True):.1f} cross the access line.",
        f"An hour has {found.batches:.0f} batches of some {found.batch_octets} octets, {found.messages:.0f} MQTT",
        f"messages and {found.flash_pages:.0f} flash pages of 256 octets.",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    print(text())
