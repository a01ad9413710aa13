"""What a router runs, as other people's servers: snmpd, miniupnpd, dnsmasq; and chronyd as a time server.

They run inside a namespace of simulations.lab.netns (`prefix` puts them there) and end with it at the latest. chronyd
never touches the machine's clock.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from simulations.lab.daemons import Address, Daemon

COMMUNITY = "labpub"
EXTERNAL_ADDRESS = "11.22.33.44"  # a label only; miniupnpd takes none of a reserved range


class Snmpd(Daemon):
    """net-snmp's agent on UDP; answers COMMUNITY, to read only."""

    commands = ("snmpd",)
    _ready = "NET-SNMP version"

    def _arguments(self) -> list[str]:
        config = self.folder / "snmpd.conf"
        config.write_text(
            f"agentAddress udp:{self.address[0]}:{self.address[1]}\nrocommunity {COMMUNITY}\nsysName lab\n"
        )
        return [
            *("env", f"SNMP_PERSISTENT_DIR={self.folder}", "snmpd", "-f", "-Lo", "-C", "-c", str(config)),
            *("-p", str(self.folder / "pid")),
        ]


_UPNP_TABLES = """
table inet filter {
  chain miniupnpd {
  }
}
table inet nat {
  chain prerouting_miniupnpd {
  }
  chain postrouting_miniupnpd {
  }
}
"""


class Miniupnpd(Daemon):
    """A UPnP Internet Gateway Device whose LAN and WAN are these interfaces; address is that of its HTTP server."""

    commands = ("miniupnpd", "nft")
    _ready = "HTTP listening on port"

    def __init__(self, address: Address, lan: str, wan: str, prefix: Sequence[str] = ()) -> None:
        super().__init__(address, prefix)
        self._lan, self._wan = lan, wan

    def _arguments(self) -> list[str]:
        for command, text in (
            (("ip", "route", "add", "239.0.0.0/8", "dev", self._lan), ""),
            (("nft", "-f", "-"), _UPNP_TABLES),
        ):
            subprocess.run([*self._prefix, *command], input=text, text=True, check=True, capture_output=True)
        config = self.folder / "miniupnpd.conf"
        config.write_text(
            f"ext_ifname={self._wan}\next_ip={EXTERNAL_ADDRESS}\nlistening_ip={self._lan}\n"
            f"enable_natpmp=no\nenable_upnp=yes\nhttp_port={self.address[1]}\nsecure_mode=yes\nsystem_uptime=no\n"
            "uuid=00000000-0000-4000-8000-000000000001\nbitrate_up=1000000\nbitrate_down=10000000\n"
            "upnp_table_name=filter\nupnp_nat_table_name=nat\nupnp_forward_chain=miniupnpd\n"
            "upnp_nat_chain=prerouting_miniupnpd\nupnp_nat_postrouting_chain=postrouting_miniupnpd\n"
            "deny 0-65535 0.0.0.0/0 0-65535\n"
        )
        return ["miniupnpd", "-d", "-f", str(config), "-P", str(self.folder / "pid")]


class Dnsmasq(Daemon):
    """A router's resolver: knows `names`, and that there are no others below `lab`."""

    commands = ("dnsmasq",)
    _ready = "started"

    def __init__(self, address: Address, names: dict[str, str], prefix: Sequence[str] = ()) -> None:
        super().__init__(address, prefix)
        self._names = names

    def _arguments(self) -> list[str]:
        known = [f"--address=/{name}/{address}" for name, address in self._names.items()]
        return [
            *(
                "dnsmasq",
                "-k",
                "--conf-file=/dev/null",
                "--log-facility=-",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
            ),
            *("--user=", "--local=/lab/", f"--listen-address={self.address[0]}", f"--port={self.address[1]}"),
            *(f"--pid-file={self.folder / 'pid'}", *known),
        ]


class Chronyd(Daemon):
    """An NTP server of stratum 3 that takes the machine's clock for right."""

    commands = ("chronyd",)
    _ready = "chronyd version"

    def _arguments(self) -> list[str]:
        config = self.folder / "chrony.conf"
        config.write_text(
            f"local stratum 3\nallow 0.0.0.0/0\nbindaddress {self.address[0]}\nport {self.address[1]}\ncmdport 0\n"
            f"bindcmdaddress /\npidfile {self.folder / 'pid'}\n"
        )
        return ["chronyd", "-d", "-x", "-f", str(config)]
