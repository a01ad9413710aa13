"""All commitments of all contracts in all their windows: accounts, tallies, what is due, and who misses too often.

A commitment of a site is reckoned for each site of the contract's provider; one of the account for all of them
together (site "*"): its downtime is the sites' share by users, or any site's, or only what all sites have at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from linewitness.model import Account, Due, Finding, OutagePost, Tally, Ticket
from linewitness.settle.account import (
    CLAIMED,
    EXCLUDED,
    NOT_CLAIMABLE,
    UNKNOWN,
    UP,
    Classes,
    SiteEvidence,
    account,
    classify,
    rounded,
    sum_up,
)
from linewitness.settle.calendar import window_interval, windows_between
from linewitness.settle.clocks import tally_failovers, tally_tickets
from linewitness.settle.contract import Commitment, Contract
from linewitness.settle.contract_tables import CLOCKS
from linewitness.settle.credit import dues
from linewitness.settle.intervals import Interval, intersect, length, subtract, union
from linewitness.settle.quality import tally_quality

ALL = "*"
NOT_ALL = "not all sites"


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What the contracts make of a settlement's verdicts."""

    accounts: tuple[Account, ...]
    tallies: tuple[Tally, ...]
    dues: tuple[Due, ...]
    findings: tuple[Finding, ...]


def reckon(
    contracts: Sequence[Contract],
    sites: Sequence[SiteEvidence],
    provider_of: Mapping[str, str],
    posts: Sequence[OutagePost],
    tickets: Sequence[Ticket],
    period: Interval,
) -> Reckoning:
    """Return the reckoning of [start_us, end_us). posts: the newest of each; tickets: with what happened by its end."""
    accounts, tallies, owed, findings = list[Account](), list[Tally](), list[Due](), list[Finding]()
    for contract in contracts:
        theirs = [t for t in tickets if t.provider == contract.provider]
        users = {c.site: c.users for c in contract.charges if c.base == "user" and c.site}
        mine = [
            replace(s, users=users.get(s.site, 1), tickets=[t for t in theirs if t.concerns(s.site)])
            for s in sites
            if provider_of[s.site] == contract.provider
        ]
        own_posts = [p for p in posts if p.provider == contract.provider]
        some_accounts, some_tallies = _of_contract(contract, mine, own_posts, theirs, period)
        accounts += some_accounts
        tallies += some_tallies
        owed += dues(contract, some_accounts, some_tallies)
        findings += chronic(contract, [*some_accounts, *some_tallies])
    return Reckoning(tuple(accounts), tuple(tallies), tuple(owed), tuple(findings))


def _of_contract(
    contract: Contract, sites: Sequence[SiteEvidence], posts: Sequence[OutagePost], tickets: Sequence[Ticket],
    period: Interval,
) -> tuple[list[Account], list[Tally]]:  # fmt: skip
    accounts, tallies = list[Account](), list[Tally]()
    for commitment in contract.commitments if sites else ():
        together = commitment.scope in ("account", "service")
        groups = [(ALL, list(sites))] if together else [(s.site, [s]) for s in sites]
        for name, group in groups:
            for window in windows_between(commitment.window, *period, contract.time_zone):
                if commitment.metric == "availability":
                    accounts.append(_account(contract, commitment, name, group, window, posts))
                elif commitment.metric in CLOCKS:
                    tallies.append(tally_tickets(contract, commitment, name, tickets, window, period[1]))
                elif commitment.metric == "failover":
                    tallies.append(tally_failovers(contract, commitment, name, group, window, posts))
                else:
                    tallies.append(tally_quality(contract, commitment, name, group, window, posts))
    return accounts, tallies


def _account(
    contract: Contract, commitment: Commitment, name: str, group: Sequence[SiteEvidence], window: str,
    posts: Sequence[OutagePost],
) -> Account:  # fmt: skip
    if name != ALL:
        return account(contract, commitment, group[0], window, posts)
    whole = window_interval(window, contract.time_zone)
    each = [classify(contract, commitment, site, whole, posts) for site in group]
    if contract.downtime.affects == "share":
        return _shared(contract, commitment, [(c, s.users) for c, s in zip(each, group, strict=True)], window)
    merged = merge(each, whole, every=contract.downtime.affects == "all_sites")
    us = {n: length(parts) for n, parts in merged.parts.items()}
    downtime_s = sum(rounded(contract.downtime.rounding, i) for i in merged.parts[CLAIMED])
    return sum_up(contract, commitment, ALL, window, us, length(merged.longest), downtime_s, merged.parts[CLAIMED])


def _shared(contract: Contract, commitment: Commitment, weighed: Sequence[tuple[Classes, int]], window: str) -> Account:
    """Return the account in which each site's seconds count by its users: user minutes, as a share of all of them."""
    total = sum(users for _, users in weighed)
    us: defaultdict[str, Fraction] = defaultdict(Fraction)
    longest_us = downtime_s = Fraction(0)
    for classes, users in weighed:
        weight = Fraction(users, total)
        for name, parts in classes.parts.items():
            us[name] += weight * length(parts)
        longest_us += weight * length(classes.longest)
        downtime_s += weight * sum(rounded(contract.downtime.rounding, i) for i in classes.parts[CLAIMED])
    claims = union(i for classes, _ in weighed for i in classes.parts[CLAIMED])
    return sum_up(contract, commitment, ALL, window, dict(us), longest_us, int(downtime_s), claims)


def merge(each: Sequence[Classes], whole: Interval, *, every: bool) -> Classes:
    """Return several sites' classes as one: claimed where any site's is, or (every) only where every site's is."""
    left, parts = [whole], dict[str, list[Interval]]()

    def take(name: str, intervals: Sequence[Interval]) -> None:
        nonlocal left
        taken = intersect(intervals, left)
        parts[name] = union([*parts.get(name, []), *taken])
        left = subtract(left, taken)

    def any_of(name: str) -> list[Interval]:
        return union(i for classes in each for i in classes.parts.get(name, []))

    names = sorted({n for c in each for n in c.parts if n.startswith((EXCLUDED, NOT_CLAIMABLE))})
    if every:
        claimed, longest = each[0].parts[CLAIMED], each[0].longest
        for classes in each[1:]:
            claimed, longest = intersect(claimed, classes.parts[CLAIMED]), intersect(longest, classes.longest)
        take(CLAIMED, claimed)
        take(UP, any_of(UP))
        take(NOT_CLAIMABLE + NOT_ALL, any_of(CLAIMED))
    else:
        longest = union(i for classes in each for i in classes.longest)
        take(CLAIMED, any_of(CLAIMED))
    for name in names:
        take(name, any_of(name))
    take(UNKNOWN, any_of(UNKNOWN))
    take(UP, left)
    return Classes(parts, longest)


def chronic(contract: Contract, kept: Sequence[Account | Tally]) -> list[Finding]:
    """Return a finding for each site whose commitment was missed so often in a row that the contract gives a right."""
    rule = contract.chronic
    if rule is None:
        return []
    by_site: defaultdict[str, list[Account | Tally]] = defaultdict(list)
    for done in kept:
        if done.commitment == rule.commitment:
            by_site[done.site].append(done)
    result = []
    for site, row in sorted(by_site.items()):
        row.sort(key=lambda done: done.start_us)
        for i in range(len(row)):
            missed = [done for done in row[max(0, i + 1 - rule.within) : i + 1] if not done.met]
            if len(missed) >= rule.missed and not row[i].met:
                text = f"{rule.commitment} missed in {', '.join(d.month for d in missed)}: {rule.right}"
                clause = f" (clause {rule.clause})" if rule.clause else ""
                result.append(Finding("chronic", site, row[i].end_us, f"{contract.name}: {text}{clause}"))
    return result
