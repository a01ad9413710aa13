"""Run peers in a process of their own, steered by JSON lines on stdin.

    python -m simulations.lab.peers [--host ADDRESS] [LABEL=]KIND[:PORT] ...

KIND is one of sip, dns, sntp, status, tsa, tcp; without any, one of each. The first line printed is an object of label
to [host, port]. Each line read is a request, each line printed its answer, {"ok": ...} or {"error": TEXT}:

    {"peer": "sip", "set": {"code": 503, "retry_after_s": 120}}
    {"peer": "sip", "requests": 0}                           the log from that request on, as rows of Request
    {"peer": "sip", "do": "stop"}                            or "start": the port is kept
    {"peer": "status", "change": "post_incident", "with": {"name": "Calls fail"}}
    {"peer": "tsa", "do": "root"}                            the path of its root certificate

The process ends when stdin does, so that no peer outlives who started it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from simulations.lab.peers.dns import DnsServer
from simulations.lab.peers.peer import Peer, PeerError
from simulations.lab.peers.sip import SipResponder
from simulations.lab.peers.sntp import SntpServer
from simulations.lab.peers.status_board import UnknownEntry
from simulations.lab.peers.status_page import StatusPage
from simulations.lab.peers.tcp import TcpEcho
from simulations.lab.peers.tsa import TimestampAuthority

KINDS: dict[str, Callable[[str, int], Peer[Any]]] = {
    "sip": lambda host, port: SipResponder(host, port),
    "dns": lambda host, port: DnsServer(None, host, port),
    "sntp": lambda host, port: SntpServer(host, port),
    "status": lambda host, port: StatusPage(None, host, port),
    "tsa": lambda host, port: TimestampAuthority(None, host, port),
    "tcp": lambda host, port: TcpEcho(host, port),
}


def make(specification: str, host: str) -> tuple[str, Peer[Any]]:
    """The label and the peer, not started, of `[LABEL=]KIND[:PORT]`. Raises PeerError."""
    label, _, what = specification.rpartition("=")
    kind, _, port = what.partition(":")
    if kind not in KINDS or (port and not (port.isdecimal() and int(port) < 65536)):
        raise PeerError(f"bad peer {specification!r}; try [LABEL=]KIND[:PORT] with KIND of {', '.join(KINDS)}")
    return label or kind, KINDS[kind](host, int(port or 0))


def carry_out(peers: dict[str, Peer[Any]], request: dict[str, Any]) -> Any:
    """Do one request of the module's docstring. Raises PeerError or UnknownEntry."""
    label = request.get("peer")
    if label not in peers:
        raise PeerError(f"no peer {label!r}; try one of {', '.join(peers)}")
    peer = peers[label]
    match request:
        case {"set": dict(changes)}:
            return peer.set(**changes)
        case {"requests": int(since)}:
            return [list(each) for each in peer.requests[since:]]
        case {"do": "stop"}:
            return peer.stop()
        case {"do": "start"}:
            peer.start()
            return list(peer.address)
        case {"do": "root"} if isinstance(peer, TimestampAuthority):
            return str(peer.root)
        case {"change": str(what), "with": dict(arguments)} if isinstance(peer, StatusPage):
            return peer.change(what, **arguments)
    raise PeerError(f"{label} cannot do {json.dumps(request)}; try set, requests, do stop or do start")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulations.lab.peers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("peers", metavar="[LABEL=]KIND[:PORT]", nargs="*", help=f"KIND is one of {', '.join(KINDS)}")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args(arguments)
    peers: dict[str, Peer[Any]] = {}
    try:
        for specification in options.peers or KINDS:
            label, peer = make(specification, options.host)
            if label in peers:
                raise PeerError(f"two peers are called {label!r}; try LABEL=KIND")
            peers[label] = peer.start()
        print(json.dumps({label: peer.address for label, peer in peers.items()}), flush=True)
        for line in sys.stdin:
            try:
                answer = {"ok": carry_out(peers, json.loads(line))}
            except (PeerError, UnknownEntry, ValueError, TypeError, AttributeError) as problem:
                answer = {"error": str(problem)}
            print(json.dumps(answer), flush=True)
    except PeerError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    finally:
        for peer in peers.values():
            peer.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
