"""Probes: one file a method. This docstring is the protocol between a probe and whoever schedules and tallies it.

A single-shot probe (icmp, dns, tcp, sip) is made once and serves all targets of its method, several at a time:

    sample = await probe.run(target, address)      # target: linewitness_wire.plan.Target; address: dotted IPv4 text
    extras = probe.extras(target)                  # what else goes into the reading, by record keys (counts, phases of
                                                   # connections, the server's place), since the last call: once a
                                                   # reading

`run` raises nothing for whatever the network does and returns a Sample:

    fate     codes.FATE_*
    sent_us  clock.now_us() just before the packet was handed to the stack (or could not be)
    rtt_us   to the reply, microseconds; an int exactly where fate is ANSWERED or WRONG, else None
    code     ANSWERED: None, a SIP status other than 200, or 3 (NXDOMAIN); WRONG: DNS RCODE, SIP status, -errno (TCP
             refused); LOST and VOID: None, or -errno of the local stack. It goes into the reading's CODES where it is
             not None

`target.timeout_ms` is the loss threshold and part of the metric: what comes later is lost (RFC 7680, 2.6). `run` takes
at most that long and 5 ms, and before it as long as a call-quality window lasts where the method sends through
`control`, which is silent in a window. `target.port` 0 means the method's own port (DNS 53, SIP 5060, STAMP 862).

tls and sip over TLS compute for long: whoever schedules runs them in a housekeeping slot; they take `quiet` themselves.

The window probes (stamp, call) are one at a time over all targets (they take `quiet` themselves and wait for it):

    reading = await probe.run(target, address)     # dict by record.* keys, without TARGET; START_US is clock.now_us()
                                                   # of the first packet: take the header's start_us off

Resolving `target.host` is not a probe's work; whoever schedules asks places.Places.find(target) first, gives the probe
the target with the place's port, and tells `probe.resolved(target, us)` how long a look-up took. A name that never
resolved is no measurement of its target: tally `unresolved(clock.now_us())`.

Before a sample the scheduler asks `probe.retry_at_us(target)` and leaves the target alone until then (Retry-After of a
SIP server; 0 for everyone else).

What the witness itself spoilt is FATE_VOID, never delay or loss: witness.sample has the rules.

What is handed to the constructors:
  clock    .now_us() -> wrap-free monotonic microseconds
           .watch(), .unwatch(): a pair around everything in flight; probes and sockets call them themselves
           .stall_us_since(t_us) -> the longest stall of the loop since t_us, 0 where there was none, one that has just
           ended and that the clock's own task has not noticed yet included
  link     .is_up() -> bool; .address() -> our own dotted IPv4 address, None without one
  urandom  n -> n random octets (os.urandom)
  sockets  see witness.sockets: `control`, `media` (Datagram), `icmp` (Icmp), `quiet` (Quiet)

witness.probing makes each. contact: who runs this witness, for SIP's User-Agent, e.g. "noc@example.com"; secrets:
{name: text} for OPTION_SECRET, a STAMP key in hex, a SIP account as user:password.
"""
