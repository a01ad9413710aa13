"""Which outside programs the lab uses, which of them this machine lacks, and what is then left out.

`python -m simulations.lab.tools` prints what is missing and the apt-get line that brings it; exit code 4 when any is.
"""

import shutil
import sys
from typing import NamedTuple


class Tool(NamedTuple):
    """A program, the Debian package that has it, and what cannot be done without it."""

    command: str
    package: str
    left_out: str


TOOLS = (
    Tool("ip", "iproute2", "the namespaces' topology and the TAP wire"),
    Tool("nft", "nftables", "the namespaces' topology and the TAP wire"),
    Tool("ping", "iputils-ping", "the tests of the TAP wire"),
    Tool("openssl", "openssl", "the time-stamp authority, and all that timestamps"),
    Tool("dig", "dnsutils", "the DNS peer before an independent client"),
    Tool("sipp", "sip-tester", "SIP OPTIONS before an independent client and server"),
    Tool("mosquitto", "mosquitto", "an independent MQTT broker"),
    Tool("mosquitto_passwd", "mosquitto", "an independent MQTT broker"),
    Tool("mosquitto_pub", "mosquitto-clients", "an independent MQTT client"),
    Tool("fping", "fping", "the baseline of ICMP round-trip times"),
    Tool("snmpd", "snmpd", "an independent router's SNMP agent"),
    Tool("miniupnpd", "miniupnpd-nftables", "an independent router's UPnP"),
    Tool("dnsmasq", "dnsmasq-base", "an independent router's resolver"),
    Tool("chronyd", "chrony", "an independent time server"),
    Tool("irtt", "irtt", "the baseline of UDP round-trip times"),
)


def missing() -> list[Tool]:
    """The tools that are not on PATH."""
    return [tool for tool in TOOLS if shutil.which(tool.command) is None]


def reason_without(*commands: str) -> str | None:
    """Why a test that needs `commands` is left out, None when all are there."""
    lacking = [tool for tool in missing() if tool.command in commands]
    if not lacking:
        return None
    packages = " ".join(dict.fromkeys(tool.package for tool in lacking))
    return f"{' and '.join(tool.command for tool in lacking)} not found; try apt-get install {packages}"


def main() -> int:
    lacking = missing()
    for tool in lacking:
        print(f"{tool.command} (package {tool.package}) is missing; left out: {tool.left_out}")
    if not lacking:
        print(f"all {len(TOOLS)} tools are there")
        return 0
    print("try: apt-get install --no-install-recommends", *dict.fromkeys(tool.package for tool in lacking))
    return 4


if __name__ == "__main__":
    sys.exit(main())
