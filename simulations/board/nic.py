"""The board's network interface: Wi-Fi station or Ethernet, its link, its association, what `network` shows of it."""

from __future__ import annotations

from typing import Any

from simulations.board.profile import Profile
from simulations.board.scheduler import Scheduler, Timer

# ESP32's reason for a lost access point, and what status() says while there is no address.
BEACON_TIMEOUT = 200
POWER_SAVING = 1  # WLAN.PM_PERFORMANCE, as the ports begin


class Nic:
    """State of the interface. `up` is whether packets pass; `changes` counts how often that changed."""

    def __init__(
        self,
        profile: Profile,
        scheduler: Scheduler,
        settings: dict[str, Any],
        mac: bytes,
        addresses: tuple[str, str, str, str],
    ) -> None:
        self._profile = profile
        self._scheduler = scheduler
        self.mac = mac
        self.addresses = addresses
        self.wired = bool(settings.get("wired", profile.ethernet))
        self.ssid = str(settings.get("ssid", "office"))
        self.password = settings.get("password")
        self.associate_ms = int(settings.get("associate_ms", 300))
        self.values: dict[str, Any] = {
            "channel": int(settings.get("channel", 6)),
            "rssi": int(settings.get("rssi", -55)),
            "pm": POWER_SAVING,
            "txpower": 20,
            "hostname": profile.platform,
            "reconnects": -1,
        }
        self.hostname = f"mpy-{profile.platform}"
        self.active = False
        self.carrier = True
        self.associated = False
        self.reason = 0
        self.associations = 0
        self._ssid_given: str | None = None
        self._password_given: str | None = None
        self._wanted = False
        self._timer: Timer | None = None
        self.changes = 0

    @property
    def up(self) -> bool:
        """Whether packets pass."""
        return self.active and self.carrier and self.associated

    def power_off(self) -> None:
        """As at a reset: not active, nothing wanted, saving power."""
        self.values["pm"] = POWER_SAVING
        self.active = self.associated = self._wanted = False
        self._cancel()

    def set_active(self, state: bool | None) -> bool:
        """network.X.active()."""
        if state is not None:
            self.active = bool(state)
            if not self.active:
                self.power_off()
            elif self.wired:
                self._wanted = True
                self._start()
        return self.active

    def connect(self, ssid: str | None, password: str | None) -> None:
        """WLAN.connect()."""
        if not self.active:
            raise OSError(-1 if self._profile.platform == "rp2" else 0x3002, "Wifi Not Started")
        self._wanted = True
        self._ssid_given, self._password_given = ssid, password
        self.associated = False
        self._start()

    def disconnect(self) -> None:
        """WLAN.disconnect()."""
        self._wanted = self.associated = False
        self._cancel()
        self.changes += 1

    def drop(self) -> None:
        """The access point or the cable is gone."""
        self.carrier = self.associated = False
        self.reason = BEACON_TIMEOUT
        self._cancel()
        self.changes += 1

    def restore(self) -> None:
        """It is back; ports that don't associate again by themselves wait for connect()."""
        self.carrier = True
        if self._wanted and (self.wired or self._profile.auto_reconnect):
            self._start()

    def status(self, what: str) -> Any:
        """WLAN.status(what), and "connected"."""
        if what == "connected":
            return self.up
        if what == "rssi":
            if not self.up:
                raise OSError(0x3001 if self._profile.platform == "esp32" else 1, "no association")
            return self.values["rssi"]
        constants = self._profile.network_constants
        if self.wired:
            return constants["ETH_GOT_IP" if self.up else "ETH_DISCONNECTED" if self.active else "ETH_STOPPED"]
        if self.up:
            return constants["STAT_GOT_IP"]
        if self.reason and self._profile.platform == "esp32":
            return self.reason
        if self.reason and self._wanted and not self._timer:
            return constants["STAT_NO_AP_FOUND"]
        return constants["STAT_CONNECTING" if self._wanted else "STAT_IDLE"]

    def get(self, name: str) -> Any:
        """config(name)."""
        if name == "mac":
            return self.mac.hex()
        if name in ("ssid", "essid"):
            return self.ssid
        if name not in self.values:
            raise ValueError("unknown config param")
        return self.values[name]

    def set(self, name: str, value: Any) -> None:
        """config(name=value)."""
        if name not in self.values:
            raise ValueError("unknown config param")
        self.values[name] = value

    def scan(self) -> list[list[Any]]:
        """What a scan finds: ssid, bssid in hex, channel, rssi, security, hidden."""
        if not self.carrier or self.wired:
            return []
        return [[self.ssid, "020000000001", self.values["channel"], self.values["rssi"], 3, False]]

    def show(self) -> list[str]:
        """Address, netmask, gateway and DNS server; zeros without association."""
        return list(self.addresses) if self.up else ["0.0.0.0"] * 4

    def _start(self) -> None:
        self._cancel()
        self._timer = self._scheduler.call_later(self.associate_ms * 1000, self._finish)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _finish(self) -> None:
        self._timer = None
        if not self.carrier or not self.active:
            return
        if not self.wired and self._refused():
            return
        self.associated = True
        self.associations += 1
        self.reason = 0
        self.changes += 1

    def _refused(self) -> bool:
        constants = self._profile.network_constants
        if self._ssid_given not in (None, self.ssid):
            self.reason = constants["STAT_NO_AP_FOUND"]
        elif self.password is not None and self._password_given != self.password:
            self.reason = constants["STAT_WRONG_PASSWORD"]
        else:
            return False
        return True
