"""Modules that are in memory only while they work: of probes, and of what is done once a boot.

Code that is executed in place still takes memory: an object for each function, dicts for each module and class. What is
needed now and then is imported when its work begins and let go after it; frozen or in a ROMFS, a module is there again
within about a millisecond. So a board needs room for what works at one time, not for all that it can do:

    WINDOWS    a call-quality window or test call: one at a time, and nothing that sends through `control` beside it
    FREQUENT   stay from one round to the next, until another needs the room: a window, a signature or one of the rest
    the rest   one of them at a time, the next waits for it

Loaded from files, code would take a tenth of a second and its memory in one piece: there, probes stay once a plan has
needed them.
"""

import asyncio
import sys

from linewitness_wire import codes

WINDOWS = (codes.METHOD_STAMP, codes.METHOD_CALL)
CRYPTO_PARTS = ("crypto.comb_table", "crypto.sha512_constants", "crypto.sha512")
CRYPTO = (
    "crypto.ed25519", "crypto.sha512", "crypto.sha512_viper", "crypto.sha512_plain", "crypto.sha512_constants",
    "crypto.comb_table", "crypto",
)  # fmt: skip
LOOKS, LOOK_MS = 20, 20  # 400 ms: the schedule reckons with half a second more than a window takes
FREQUENT = (
    codes.METHOD_DNS, codes.METHOD_SIP_UDP, codes.METHOD_SIP_TCP, codes.METHOD_SIP_TLS, codes.METHOD_TLS,
)  # fmt: skip


def modules_of(method: int) -> tuple:
    """Return a probe's own modules, those first that others are made of; () for one that stays.

    What its attributes are made of is not among them (wan, sip_digest, connection): they outlive its code.
    """
    if method == codes.METHOD_STAMP:
        return ("emodel", "quality", "probes.stamp_packet", "probes.window", "probes.stream", "probes.stamp")
    if method == codes.METHOD_CALL:
        return (
            "emodel", "quality", "probes.stamp_packet", "probes.window", "probes.stream", "probes.sip_message",
            "probes.rtp", "probes.sdp", "probes.sip_dialog", "probes.call_media", "probes.call",
        )  # fmt: skip
    if method == codes.METHOD_SIP_UDP:
        return ("probes.sip_message", "probes.sip")
    if method in (codes.METHOD_SIP_TCP, codes.METHOD_SIP_TLS):
        return ("probes.sip_message", "probes.sip", "probes.tls", "probes.sip_stream")
    if method == codes.METHOD_TLS:
        return ("probes.tls",)
    if method == codes.METHOD_DNS:
        return ("probes.dns",)
    if method == codes.METHOD_SNMP:
        return ("probes.snmp_message", "probes.snmp")
    if method == codes.METHOD_IGD:
        return ("probes.http", "probes.igd_message", "probes.igd")
    if method == codes.METHOD_NTP:
        return ("probes.ntp",)
    if method == codes.METHOD_STUN:
        return ("probes.stun",)
    return ()


def forget(*names: str) -> None:
    """Let go of modules of the witness: whoever imports them again has them anew."""
    for name in names:
        name = "witness." + name
        if name in sys.modules:
            del sys.modules[name]
            package, child = name.rsplit(".", 1)
            delattr(sys.modules[package], child)


class SignerOnDemand:
    """Stands for a crypto.ed25519.Signer, whose code is in memory only while it signs."""

    def __init__(self, seed: bytes, urandom, room: "Room") -> None:
        from .crypto.ed25519 import Signer

        signer = Signer(seed, urandom)
        forget(*CRYPTO)
        self._seed = seed
        self._urandom = urandom
        self._room = room
        self.public_key = signer.public_key
        self.kid = signer.kid

    def sign_slices(self, message: bytes):
        """Generator: yields None between slices of work and, last, the signature of `message`. To be run in `quiet`."""
        self._room.make_room()
        for name in CRYPTO_PARTS:
            __import__("witness." + name)
            yield None
        from .crypto.ed25519 import Signer

        signer = Signer(self._seed, self._urandom, self.public_key)
        forget(*CRYPTO)  # what has been imported lives as long as it works
        yield None
        yield from signer.sign_slices(message)


class Room:
    """What is shared by all that is loaded on demand. While `quiet` (see witness.sockets) is taken, nothing is loaded
    but by who has it. make_probe(method, parts): see witness.probing; parts may change with the plan."""

    def __init__(self, quiet, make_probe) -> None:
        self.quiet = quiet
        self.make_probe = make_probe
        self.parts: tuple = ()
        self.window = asyncio.Lock()
        self.rare = asyncio.Lock()
        self.probes: "list[OnDemand]" = []

    async def clear(self, window: "OnDemand") -> None:
        """Let go of all probes for a window: of those with a round on its way once that is over, but for late ones."""
        for _ in range(LOOKS):
            if not any(probe.rounds for probe in self.probes if probe is not window):
                break
            await asyncio.sleep_ms(LOOK_MS)
        self.make_room()

    def make_room(self) -> None:
        """Let go of all probes that are idle."""
        for probe in self.probes:
            probe.make_room()


class OnDemand:
    """Stands for a method's probe (see witness.probes), whose attributes are kept while its code is not in memory."""

    _took_us: "int | None" = None  # of the round that comes next
    _kept: "dict | None" = None
    _loaded: tuple = ()

    def __init__(self, method: int, room: Room) -> None:
        self._method = method
        self._room = room
        self._probe = None
        self.rounds = 0  # on their way
        room.probes.append(self)

    async def run(self, target, address: str):
        """Run one round; what the probe's own `run` returns and raises."""
        room, took_us = self._room, self._took_us
        self._took_us = None
        lock = room.window if self._method in WINDOWS else None if self._method in FREQUENT else room.rare
        if lock is not None:
            await lock.acquire()
        self.rounds += 1
        try:
            if lock is room.window:
                await room.clear(self)
            elif self._method != codes.METHOD_SIP_TCP:  # its rounds run beside windows
                await room.quiet.over()
            if lock is room.rare:
                room.make_room()
            for name in modules_of(self._method):
                self._load(name)
                await asyncio.sleep_ms(0)  # one module a turn: nothing that is in flight is read late
            probe = self._made()
            if took_us is not None:
                probe.resolved(target, took_us)
            return await probe.run(target, address)
        finally:
            self.rounds -= 1
            if lock is not None or room.window.locked():
                self.make_room()
            if lock is not None:
                lock.release()

    def make_room(self) -> None:
        """Let go of the probe, unless a round of it is on its way."""
        if self.rounds:
            return
        if self._probe is not None:
            known = self._probe.__dict__  # type: ignore[unreachable]  # it may be anything
            # What it was made of it has anew when it is made again, and so an empty dict.
            given = [part for part in self._room.parts if part is not None]
            self._kept = {
                name: known[name]
                for name in known
                if known[name] != {} and not any(known[name] is part for part in given)
            }  # fmt: skip
            self._probe = None
        forget(*self._loaded)
        self._loaded = ()

    def resolved(self, target, took_us: int) -> None:
        """Hear how long a server took to give the target's address; the next round is the target's."""
        self._took_us = took_us

    def extras(self, target) -> dict:
        """What the probe has for the target's reading."""
        loaded = self._probe is not None
        if not loaded and not self._kept:
            return {}  # no round of it has run
        for name in () if loaded else modules_of(self._method):
            self._load(name)
        extras = self._made().extras(target)
        if not loaded:
            self.make_room()
        return extras

    def retry_at_us(self, target) -> int:
        """Until when the target wants to be left alone (0: it never did)."""
        if self._probe is not None:
            return self._probe.retry_at_us(target)  # type: ignore[unreachable]
        held = self._kept.get("_retry_at_us") if self._kept is not None else None
        return held.get(target.name, 0) if held else 0

    def _load(self, name: str) -> None:
        whole = "witness." + name
        if whole not in sys.modules:
            __import__(whole)
            self._loaded += (name,)

    def _made(self):
        if self._probe is None:
            room = self._room
            self._probe = probe = room.make_probe(self._method, room.parts)
            kept = self._kept
            if kept is not None:
                for name in kept:
                    setattr(probe, name, kept[name])
                self._kept = None
        return self._probe
