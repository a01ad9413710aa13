"""The lab's topology in Linux network namespaces: real kernels' stacks, real packets, one machine.

    branch-probe 192.168.10.20 \\
    branch-host  192.168.10.30 -- br-lan [branch-router 192.168.10.1 | NAT | 100.64.10.2] == ACCESS LINK ==
      [100.64.10.1 isp] -- anchors 192.0.2.1 .2 .3
                       \\-- 198.51.100.10 [provider] 203.0.113.1 -- 203.0.113.10 carrier

The access link is a plain veth pair or, with `access="tap"`, two TAP devices (`wan0` in branch-router, `acc0` in isp)
that pass nothing until a wire (simulations.lab.wire) holds them. IPv6 is off, so that no neighbour discovery mixes with
the counts. Every name has the lab's prefix: labs of several processes don't collide. Needs root (that of a user
namespace is enough, given a writable /run), iproute2 and nftables; `cannot_make` says what is missing.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Literal

NAMESPACES = ("branch-probe", "branch-host", "branch-router", "isp", "anchors", "provider", "carrier")

# (namespace, interface, namespace, interface) of each cable but the access link.
_CABLES = (
    ("branch-router", "lan0", "branch-probe", "eth0"),
    ("branch-router", "lan1", "branch-host", "eth0"),
    ("isp", "anc0", "anchors", "eth0"),
    ("isp", "prv0", "provider", "eth0"),
    ("provider", "car0", "carrier", "eth0"),
)

# `ip -batch` lines of each namespace.
_ADDRESSES = {
    "branch-router": (
        "link add br-lan type bridge forward_delay 0",
        "link set lan0 master br-lan",
        "link set lan1 master br-lan",
        "link set lan0 up",
        "link set lan1 up",
        "link set br-lan up",
        "addr add 192.168.10.1/24 dev br-lan",
        "addr add 100.64.10.2/24 dev wan0",
        "link set wan0 up",
        "route add default via 100.64.10.1",
    ),
    "branch-probe": (
        "addr add 192.168.10.20/24 dev eth0",
        "link set eth0 up",
        "route add default via 192.168.10.1",
    ),
    "branch-host": (
        "addr add 192.168.10.30/24 dev eth0",
        "link set eth0 up",
        "route add default via 192.168.10.1",
    ),
    "isp": (
        "addr add 100.64.10.1/24 dev acc0",
        "addr add 192.0.2.254/24 dev anc0",
        "addr add 198.51.100.1/24 dev prv0",
        "link set acc0 up",
        "link set anc0 up",
        "link set prv0 up",
        "route add 203.0.113.0/24 via 198.51.100.10",
    ),
    "anchors": (
        "addr add 192.0.2.1/24 dev eth0",
        "addr add 192.0.2.2/24 dev eth0",
        "addr add 192.0.2.3/24 dev eth0",
        "link set eth0 up",
        "route add default via 192.0.2.254",
    ),
    "provider": (
        "addr add 198.51.100.10/24 dev eth0",
        "addr add 203.0.113.1/24 dev car0",
        "link set eth0 up",
        "link set car0 up",
        "route add default via 198.51.100.1",
    ),
    "carrier": (
        "addr add 203.0.113.10/24 dev eth0",
        "link set eth0 up",
        "route add default via 203.0.113.1",
    ),
}
_LABS = itertools.count(1)  # labs of one process don't collide either
_ROUTERS = ("branch-router", "isp", "provider")

_FIREWALL = """
table ip nat {
  chain post { type nat hook postrouting priority srcnat; policy accept;
    oifname "wan0" masquerade
  }
}
table ip filter {
  chain forward { type filter hook forward priority filter; policy accept;
    iifname "wan0" ct state established,related accept
    iifname "wan0" drop
  }
}
"""


class NamespaceError(RuntimeError):
    """The lab could not be built or used; the message names the command and what it answered."""


def cannot_make(access: Literal["veth", "tap"] = "veth") -> str | None:
    """Why this machine cannot make the lab, in one line; None when it can. Tries for real: makes one namespace."""
    missing = [command for command in ("ip", "nft") if shutil.which(command) is None]
    if missing:
        return f"{' and '.join(missing)} not found; install iproute2 and nftables"
    if os.geteuid() != 0:
        return "network namespaces need root; try sudo, or unshare -Urnm with a tmpfs on /run"
    if access == "tap" and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened; try mknod /dev/net/tun c 10 200"
    name = f"lwtry{os.getpid()}"
    try:
        _command("ip", "netns", "add", name)
        try:
            if access == "tap":
                _command("ip", "-n", name, "tuntap", "add", "dev", "try0", "mode", "tap")
        finally:
            _command("ip", "netns", "del", name)
    except NamespaceError as problem:
        return str(problem)
    return None


class Namespaces:
    """The topology, as a context manager: built on entering, taken down with all that runs in it on leaving."""

    def __init__(self, prefix: str | None = None, access: Literal["veth", "tap"] = "veth") -> None:
        self.prefix = f"lw{os.getpid()}-{next(_LABS)}-" if prefix is None else prefix
        self.access = access

    def name(self, namespace: str) -> str:
        """The prefixed name, as `ip netns` knows it."""
        if namespace not in NAMESPACES:
            raise NamespaceError(f"no namespace {namespace!r} in the lab; try one of {', '.join(NAMESPACES)}")
        return self.prefix + namespace

    def up(self) -> None:
        """Build everything. Raises NamespaceError, with nothing left behind, when a step fails."""
        try:
            self._make_namespaces()
            self._make_cables()
            for namespace, lines in _ADDRESSES.items():
                _command("ip", "-n", self.name(namespace), "-batch", "-", text="\n".join(lines))
            for namespace in _ROUTERS:
                self._write_sysctl(namespace, "net/ipv4/ip_forward", "1")
            _command("ip", "netns", "exec", self.name("branch-router"), "nft", "-f", "-", text=_FIREWALL)
        except NamespaceError:
            self.down()
            raise

    def down(self) -> None:
        """Terminate what runs in the lab's namespaces and delete them. Harmless when there is nothing."""
        existing = {line.split()[0] for line in _command("ip", "netns", "list").splitlines() if line.strip()}
        for namespace in NAMESPACES:
            name = self.name(namespace)
            if name not in existing:
                continue
            for process in _command("ip", "netns", "pids", name).split():
                subprocess.run(["kill", process], check=False, capture_output=True)  # it may have ended meanwhile
            _command("ip", "netns", "del", name)

    def command(self, namespace: str, *arguments: str) -> list[str]:
        """The command line that runs `arguments` inside `namespace`."""
        return ["ip", "netns", "exec", self.name(namespace), *arguments]

    def run(self, namespace: str, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command in `namespace` to its end; its exit code is the caller's to judge."""
        return subprocess.run(
            self.command(namespace, *arguments), capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def start(self, namespace: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in `namespace`; it ends with the lab at the latest."""
        return subprocess.Popen(
            self.command(namespace, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> "Namespaces":
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def _make_namespaces(self) -> None:
        for namespace in NAMESPACES:
            _command("ip", "netns", "add", self.name(namespace))
            for scope in ("all", "default"):
                self._write_sysctl(namespace, f"net/ipv6/conf/{scope}/disable_ipv6", "1", if_present=True)
            _command("ip", "-n", self.name(namespace), "link", "set", "lo", "up")

    def _make_cables(self) -> None:
        for one, one_interface, other, other_interface in _CABLES:
            self._make_veth(one, one_interface, other, other_interface)
        if self.access == "veth":
            self._make_veth("branch-router", "wan0", "isp", "acc0")
        else:
            for namespace, interface in (("branch-router", "wan0"), ("isp", "acc0")):
                _command("ip", "-n", self.name(namespace), "tuntap", "add", "dev", interface, "mode", "tap")

    def _make_veth(self, one: str, one_interface: str, other: str, other_interface: str) -> None:
        peer = ("peer", "name", other_interface, "netns", self.name(other))
        # `name` spelt out: a leading `a` of an interface reads as `address`.
        _command("ip", "-n", self.name(one), "link", "add", "name", one_interface, "type", "veth", *peer)

    def _write_sysctl(self, namespace: str, path: str, value: str, *, if_present: bool = False) -> None:
        test = f"[ ! -e /proc/sys/{path} ] ||" if if_present else ""
        script = f"{test} echo {value} > /proc/sys/{path}"
        _command("ip", "netns", "exec", self.name(namespace), "sh", "-c", script)


def _command(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NamespaceError(f"{' '.join(arguments)} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m simulations.lab.netns up|down PREFIX [veth|tap]`: a lab that stays, to look at by hand."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) not in (2, 3) or words[0] not in ("up", "down") or words[2:] not in ([], ["veth"], ["tap"]):
        print("usage: python -m simulations.lab.netns up|down PREFIX [veth|tap]", file=sys.stderr)
        return 2
    lab = Namespaces(words[1], access="tap" if words[2:] == ["tap"] else "veth")
    try:
        lab.up() if words[0] == "up" else lab.down()
    except NamespaceError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
