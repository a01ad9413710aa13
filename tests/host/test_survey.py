"""The ISP's first hop and NAT in the way, judged from hops, and found through real routers in namespaces."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from linewitness.cli import main
from linewitness.survey import judge
from simulations.lab.netns import Namespaces, cannot_make

REASON = cannot_make()


@pytest.mark.parametrize(
    ("hops", "router", "isp_hop", "nats", "finding"),
    [
        (["192.168.1.1", "203.0.113.1", "1.1.1.1"], "192.168.1.1", "203.0.113.1", 1, None),
        (["192.168.1.1", "100.64.0.1", "203.0.113.1"], "192.168.1.1", "100.64.0.1", 2, "carrier-grade NAT"),
        (["192.168.1.1", "192.168.0.1", "203.0.113.1"], "192.168.1.1", "203.0.113.1", 2, "double NAT likely: 2"),
        (["192.168.1.1", None, "203.0.113.1"], "192.168.1.1", "203.0.113.1", 1, None),
        (["203.0.113.1"], None, "203.0.113.1", 0, "no private address"),
        (["192.168.1.1", None], "192.168.1.1", None, 0, "look for the ISP's first hop by hand"),
        ([None, None], None, None, 0, "by hand"),
    ],
)
def test_hops_are_judged(
    hops: list[str | None], router: str | None, isp_hop: str | None, nats: int, finding: str | None
) -> None:
    found = judge(hops)
    assert (found.router, found.isp_hop, found.nats) == (router, isp_hop, nats)
    assert (finding in " ".join(found.findings)) if finding else found.findings == ()


@pytest.mark.skipif(REASON is not None, reason=REASON or "")
@pytest.mark.xdist_group("namespaces")
def test_the_isp_s_first_hop_is_found_through_real_routers() -> None:
    with Namespaces() as lab:
        command = (sys.executable, "-m", "linewitness", "site", "survey", "--towards", "192.0.2.1", "--json")
        done = lab.run("branch-host", *command)
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert value["hops"] == ["192.168.10.1", "100.64.10.1", "192.0.2.1"]
    assert (value["router"], value["isp_hop"], value["carrier_grade"]) == ("192.168.10.1", "100.64.10.1", True)


def test_a_name_is_refused_in_one_line() -> None:
    told = CliRunner().invoke(main, ["site", "survey", "--towards", "one.example"])
    assert told.exit_code == 2
    assert told.stderr == "error: wanted a dotted IPv4 address, got 'one.example' (--towards); try: 1.1.1.1\n"
