"""The network interface of the witness: brought up, kept up, and what there is to report of it.

The only file that imports `network`. Power saving is off (it falsifies every round trip). A lost association is made
again here on every port, for rp2 does not do it itself. Changes are events, also of the channel while associated: the
port has moved to another access point. A DHCP renewal that changes nothing is not to be seen on these ports; one that
changes or loses the address is an event. What a batch says of the link is a
METHOD_LINK reading: how long it was up, RSSI, channel and how often it came up again.
"""

import network

from linewitness_wire import codes, record

CHECK_MS = 250
CHANNEL_EVERY = 20  # looks: asking the radio costs its driver a millisecond
ASSOCIATE_US = 15_000_000  # an attempt that took longer is begun anew
RETRY_US = 1_000_000  # after one that failed: so that an access point's return is noticed to about a second
FAILURES = ("STAT_NO_AP_FOUND", "STAT_WRONG_PASSWORD", "STAT_CONNECT_FAIL", "STAT_BEACON_TIMEOUT", "STAT_ASSOC_FAIL",
            "STAT_HANDSHAKE_TIMEOUT")  # fmt: skip
RSSI_RANGE_DBM = (-127, 20)


def octets_of(address: str) -> bytes:
    """Return the four octets of a dotted address."""
    return bytes([int(part) for part in address.split(".")])


def _ethernet(lan: "dict | None"):
    """Make the network.LAN of these arguments."""
    options = dict(lan or {})
    phy = options.get("phy_type")
    if phy is not None:
        options["phy_type"] = getattr(network, phy)
    return network.LAN(**options)


class Link:
    """Wi-Fi or Ethernet as config.network says; lan: arguments of network.LAN (its pins), None without one."""

    def __init__(self, clock, settings: dict, lan: "dict | None", event, log) -> None:
        self._clock = clock
        self._settings = settings
        self._event = event
        self._log = log
        self._wired = settings["kind"] == "ethernet"
        # What is used of a LAN is called the same as of a WLAN, which has more.
        self._interface: "network.WLAN" = _ethernet(lan) if self._wired else network.WLAN(network.STA_IF)
        self._up = False
        self._addresses: "tuple | None" = None
        self._tried_us: "int | None" = None
        self._up_since_us = 0
        self._up_us = 0  # in the current batch, without the time since _up_since_us
        self._always_up = False  # in the current batch
        self._reconnects = 0
        self._ever_up = False
        self._complained = False
        self._channel: "int | None" = None
        self._looks = 0
        self._failures = [getattr(network, name) for name in FAILURES if hasattr(network, name)]

    def is_up(self) -> bool:
        """Whether packets can be sent now."""
        return self._interface.isconnected()

    def address(self) -> "str | None":
        """Our own IPv4 address of the moment."""
        return self._nonzero(0)

    def gateway(self) -> "str | None":
        """The default gateway of the moment."""
        return self._nonzero(2)

    def _nonzero(self, index: int) -> "str | None":
        address = self._interface.ifconfig()[index] if self.is_up() else None
        return None if address in (None, "0.0.0.0") else address

    async def run(self, progress) -> None:
        """Bring the link up and keep it so, for ever."""
        self._interface.active(True)
        if not self._wired:
            # Ports name it differently; without it a Pico W answers up to 100 ms late.
            self._interface.config(pm=getattr(network.WLAN, "PM_NONE", 0))
        while True:
            self._look()
            progress()
            await self._clock.sleep_ms(CHECK_MS)

    def _look(self) -> None:
        up = self.is_up()
        if up and not self._up:
            self._came_up()
        elif not up and self._up:
            self._went_down()
        if up:
            self._note_addresses()
            self._note_channel()
        elif not self._wired:
            self._associate()

    def _came_up(self) -> None:
        self._up = True
        self._up_since_us = self._clock.now_us()
        self._tried_us = None
        if self._ever_up:
            self._reconnects += 1
        self._ever_up = True
        self._complained = False
        rssi_dbm, channel = self._radio()
        self._channel = channel
        self._event(codes.EVENT_LINK_UP, rssi_dbm or 0, channel or 0)

    def _went_down(self) -> None:
        self._up = self._always_up = False
        self._up_us += self._clock.now_us() - self._up_since_us
        self._event(codes.EVENT_LINK_DOWN, self._reason())

    def _reason(self) -> int:
        reason = self._interface.status()
        return reason if isinstance(reason, int) else 0

    def _associate(self) -> None:
        now_us = self._clock.now_us()
        patience_us = RETRY_US if self._reason() in self._failures else ASSOCIATE_US
        if self._tried_us is not None and now_us - self._tried_us < patience_us:
            return
        if self._tried_us is not None and not self._complained:
            self._complained = True
            self._log(
                "link: no association (network %r, status %d); try: see that the network is in reach, and correct "
                "network.ssid and network.password in config.json" % (self._settings["ssid"], self._reason())
            )
        self._tried_us = now_us
        try:
            self._interface.disconnect()
            self._interface.connect(self._settings["ssid"], self._settings.get("password"))
        except OSError:
            self._tried_us = now_us - ASSOCIATE_US + 1_000_000  # the driver was busy: again in a second

    def _note_addresses(self) -> None:
        addresses = self._interface.ifconfig()[:3]
        if addresses != self._addresses:
            self._addresses = addresses
            self._event(codes.EVENT_ADDRESS, *[octets_of(address) for address in addresses])

    def _note_channel(self) -> None:
        self._looks += 1
        if self._looks % CHANNEL_EVERY:
            return
        channel = self._radio()[1]
        if channel is not None and channel != self._channel:
            if self._channel is not None:
                self._event(codes.EVENT_ROAMED, self._channel, channel)
            self._channel = channel

    def _radio(self) -> tuple:
        """(RSSI in dBm, channel); None for each that the interface does not tell."""
        if self._wired:
            return None, None
        rssi_dbm = channel = None
        try:
            rssi_dbm = max(RSSI_RANGE_DBM[0], min(RSSI_RANGE_DBM[1], self._interface.status("rssi")))
            channel = self._interface.config("channel")
        except (OSError, ValueError):
            pass  # not associated just now
        return rssi_dbm, channel

    def reading(self, target: int, span_us: int) -> dict:
        """Return the METHOD_LINK reading of a batch that ends about now, and begin the next."""
        now_us = self._clock.now_us()
        up_us = self._up_us
        if self._up:
            up_us += now_us - self._up_since_us
        if self._always_up:  # a batch does not end right now
            up_us = span_us
        reading = {
            record.TARGET: target, record.START_US: 0, record.SPAN_US: span_us, record.UP_US: min(up_us, span_us),
            record.RECONNECTS: self._reconnects,
        }  # fmt: skip
        rssi_dbm, channel = self._radio() if self._up else (None, None)
        if rssi_dbm is not None:
            reading[record.RSSI_DBM] = rssi_dbm
        if channel is not None:
            reading[record.CHANNEL] = channel
        self._up_us = 0
        self._up_since_us = now_us
        self._always_up = self._up
        self._reconnects = 0
        return reading
