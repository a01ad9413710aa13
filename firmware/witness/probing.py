"""Makes the probe of a method when a plan first needs it. What no plan uses is never imported: it takes no memory.

A method that is not here has no probe (self, link) or none on this board; its targets stay unmeasured.
"""

from collections import namedtuple

from linewitness_wire import codes

Parts = namedtuple(
    "Parts", ("socket", "clock", "link", "control", "media", "icmp", "quiet", "urandom", "config", "public")
)
"""What probes are made of (see witness.probes): the module socket, the sockets (icmp None without one), the Config, and
public(target, octets) for our public address."""


def make_probe(method: int, parts: Parts):
    """Return the probe of a method, None where there is none."""
    clock, control, urandom = parts.clock, parts.control, parts.urandom
    contact = "%s.%s" % (parts.config.site, parts.config.witness)
    if method == codes.METHOD_ICMP and parts.icmp is not None:
        from .probes.icmp import Icmp

        return Icmp(parts.icmp, clock, urandom)
    if method == codes.METHOD_DNS:
        from .probes.dns import Dns

        return Dns(control, clock, urandom)
    if method == codes.METHOD_TCP:
        from .probes.tcp import Tcp

        return Tcp(parts.socket, clock, parts.link)
    if method == codes.METHOD_STAMP:
        from .probes.stamp import Stamp

        return Stamp(parts.media, parts.quiet, clock, urandom, parts.config.secrets)
    if method == codes.METHOD_SIP_UDP:
        from .probes.sip import Sip

        return Sip(control, clock, urandom, contact, parts.config.secrets)
    if method == codes.METHOD_TLS:
        import tls

        from .probes.connection import tls_contexts
        from .probes.tls import Tls

        return Tls(parts.socket, clock, parts.link, tls_contexts(tls, ""), parts.quiet)
    if method in (codes.METHOD_SIP_TCP, codes.METHOD_SIP_TLS):
        import tls

        from .probes.connection import Connecting, tls_contexts
        from .probes.sip_stream import SipStream

        quiet = parts.quiet if method == codes.METHOD_SIP_TLS else None
        connecting = Connecting(parts.socket, clock, parts.link, tls_contexts(tls, ""))
        return SipStream(connecting, quiet, clock, parts.link, urandom, contact, parts.config.secrets)
    if method == codes.METHOD_CALL:
        from .probes.call import Call

        return Call(control, parts.media, parts.quiet, clock, urandom, contact, parts.config.secrets)
    if method == codes.METHOD_SNMP:
        from .probes.snmp import Snmp

        return Snmp(control, clock, urandom, parts.config.secrets)
    if method == codes.METHOD_IGD:
        from .probes.igd import Igd

        return Igd(control, parts.socket, clock, parts.quiet, parts.public)
    if method == codes.METHOD_NTP:
        from .probes.ntp import Ntp

        return Ntp(control, clock, urandom)
    if method == codes.METHOD_STUN:
        from .probes.stun import Stun

        return Stun(control, urandom, parts.public)
    return None
