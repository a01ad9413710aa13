"""machine, network, esp32, time, os, micropython and sys of the board: MicroPython's names over the parent's model."""

import io
import struct
import sys as _sys

import board_host as host

_TICKS_PERIOD = 1 << 30


class Namespace:
    """Stands for a module in sys.modules: a plain object, so that names can be set."""

    def __init__(self, name, attributes=None, base=None, names=None):
        if base is not None:
            for key in names or dir(base):
                if hasattr(base, key) and not key.startswith("__"):
                    setattr(self, key, getattr(base, key))
        for key, value in (attributes or {}).items():
            setattr(self, key, value)
        self.__name__ = name


def make_time(profile):
    import time as base

    if host.vbhost is not None:
        ticks_us, ticks_ms = host.vbhost.ticks_us, host.vbhost.ticks_ms
    elif host.is_virtual:

        def ticks_us():
            return host.look_us() & (_TICKS_PERIOD - 1)

        def ticks_ms():
            return host.look_us() // 1000 & (_TICKS_PERIOD - 1)

    else:
        start_us = base.ticks_us()

        def ticks_us():
            return base.ticks_diff(base.ticks_us(), start_us) & (_TICKS_PERIOD - 1)

        def ticks_ms():
            return base.ticks_diff(base.ticks_us(), start_us) // 1000 & (_TICKS_PERIOD - 1)

    def ticks_add(ticks, delta):
        return (ticks + delta) & (_TICKS_PERIOD - 1)

    def ticks_diff(end, start):
        return ((end - start + _TICKS_PERIOD // 2) & (_TICKS_PERIOD - 1)) - _TICKS_PERIOD // 2

    def sleep_us(us):
        host.request(host.SLEEP, struct.pack("<q", us))

    def time_ns():
        return host.call("wall_us") * 1000

    def localtime(seconds=None):
        return base.gmtime((time_ns() // 1000000000 if seconds is None else seconds) + epoch_s)[:8]

    # The port's epoch: 2000 on the ESP32, 1970 on the others; base's is 1970 on both machines.
    epoch_s = profile["epoch_s"]
    return Namespace(
        "time",
        {
            "ticks_us": ticks_us,
            "ticks_ms": ticks_ms,
            "ticks_cpu": ticks_us,
            "ticks_add": ticks_add,
            "ticks_diff": ticks_diff,
            "sleep_us": sleep_us,
            "sleep_ms": lambda ms: sleep_us(ms * 1000),
            "sleep": lambda seconds: sleep_us(int(seconds * 1000000)),
            "time_ns": time_ns,
            "time": lambda: time_ns() // 1000000000,
            "gmtime": localtime,
            "localtime": localtime,
            "mktime": lambda fields: int(base.mktime(fields)) - epoch_s,
        },
    )


def make_os(profile):
    import os as base

    def urandom(n):
        octets = b""
        while len(octets) < n:
            host.request(host.RANDOM, struct.pack("<H", min(n - len(octets), host.MAX_BODY)))
            octets += bytes(host.body())
        return octets

    def uname():
        release = "%d.%d.%d" % _sys.implementation[1][:3]
        return (profile["platform"], profile["platform"], release, "v" + release, profile["machine"])

    names = "remove chdir getcwd ilistdir listdir mkdir mount rename rmdir stat statvfs umount unlink".split()
    extra = {"urandom": urandom, "uname": uname, "sync": lambda: None, "sep": "/", "dupterm": lambda *args: None}
    return Namespace("os", extra, base, names)


class Console(io.IOBase):
    """sys.stdin, sys.stdout or their `.buffer`: descriptor 0, the serial line."""

    def __init__(self, raw=False):
        self._fd = 0
        self._raw = raw
        if not raw:
            self.buffer = Console(True)

    def read(self, n=-1):
        """Blocks until n octets are there, as a UART does."""
        octets = b""
        while n < 0 or len(octets) < n:
            octets += self._some(host.MAX_BODY if n < 0 else n - len(octets))
        return octets if self._raw else octets.decode()

    def _some(self, n):
        while True:
            try:
                host.request(host.RECV, struct.pack("<HH", 0, min(n, host.MAX_BODY)))
                return bytes(host.body())
            except OSError as error:
                if error.errno != 11:
                    raise
                host.request(host.POLL, struct.pack("<iHB", -1, 0, 1))

    def readinto(self, buffer, n=-1):
        octets = self._some(len(buffer) if n < 0 else min(n, len(buffer)))
        buffer[: len(octets)] = octets
        return len(octets)

    def readline(self):
        line = b""
        while not line.endswith(b"\n") and not line.endswith(b"\r"):
            line += self._some(1)
        return line if self._raw else line.decode()

    def write(self, octets, n=-1):
        octets = octets.encode() if isinstance(octets, str) else octets
        view = memoryview(octets)[: n if n >= 0 else len(octets)]
        # SEND to descriptor 0 is written as it is, to descriptor 1 with the line ends of a terminal.
        for offset in range(0, len(view), host.MAX_BODY):
            fd = struct.pack("<H", 0 if self._raw else 1)
            host.request(host.SEND, fd, view[offset : offset + host.MAX_BODY])
        return len(view)

    def flush(self):
        pass


def make_sys(profile):
    out = Console()
    base_print_exception = _sys.print_exception

    def print_exception(error, file=None):
        if file is None or isinstance(file, Console):
            # The machine's own writer wants a stream of C.
            text = io.StringIO()
            base_print_exception(error, text)
            out.write(text.getvalue())
        else:
            base_print_exception(error, file)

    extra = {
        "platform": profile["platform"],
        "maxsize": 0x7FFFFFFF,
        "stdin": Console(),
        "stdout": out,
        "stderr": out,
        "print_exception": print_exception,
    }
    return Namespace("sys", extra, _sys)


def make_micropython(profile):
    import micropython as base

    module = Namespace("micropython", {"kbd_intr": lambda char: host.call("kbd_intr", char)}, base)
    for name in ("native", "viper", "asm_thumb", "asm_xtensa"):
        setattr(module, name, lambda function: function)
    if not hasattr(base, "mem_peak"):
        module.alloc_emergency_exception_buf = lambda size: None
    return module


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_FALLING = 2
    IRQ_RISING = 1

    def __init__(self, name, mode=-1, pull=-1, *, value=None):
        self._name = str(name)
        self._mode = mode
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return host.call("pin_read", self._name)
        return host.call("pin_write", self._name, int(bool(level)))

    __call__ = value

    def init(self, mode=-1, pull=-1, *, value=None):
        self.__init__(self._name, mode, pull, value=value)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(not self.value())

    def irq(self, handler=None, trigger=3, **options):
        """Accepted and never called: the firmware polls its button."""


class WDT:
    def __init__(self, id=0, timeout=5000):
        host.call("wdt_start", timeout)

    def feed(self):
        host.call("wdt_feed")


class RTC:
    def datetime(self, fields=None):
        time = _sys.modules["time"]
        if fields is None:
            year, month, day, hour, minute, second, weekday, _ = time.localtime()
            return year, month, day, weekday, hour, minute, second, host.call("wall_us") % 1000000
        year, month, day, _, hour, minute, second, subsecond = fields
        seconds = time.mktime((year, month, day, hour, minute, second, 0, 0))
        return host.call("set_wall_us", seconds * 1000000 + subsecond)

    def memory(self, octets=None):
        if octets is None:
            return bytes.fromhex(host.call("rtc_memory"))
        return host.call("set_rtc_memory", bytes(octets).hex())


def make_machine(profile):
    def reset():
        host.call("reset", "hard")

    def freq(hz=None):
        return host.call("freq", hz)

    attributes = {
        "Pin": Pin,
        "WDT": WDT,
        "RTC": RTC,
        "reset": reset,
        "soft_reset": lambda: host.call("reset", "soft"),
        "reset_cause": lambda: profile["reset_cause"],
        "unique_id": lambda: bytes.fromhex(profile["unique_id"]),
        "freq": freq,
        "idle": lambda: None,
        "disable_irq": lambda: 0,
        "enable_irq": lambda state: None,
    }
    attributes.update(profile["reset_causes"])
    return Namespace("machine", attributes)


class WLAN:
    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __init__(self, interface=0):
        if interface != 0:
            raise OSError(19)

    def active(self, state=None):
        return host.call("nic_active", state)

    def connect(self, ssid=None, key=None, **options):
        host.call("nic_connect", ssid, key)

    def disconnect(self):
        host.call("nic_disconnect")

    def isconnected(self):
        return host.call("nic_status", "connected")

    def status(self, what="link"):
        return host.call("nic_status", what)

    def scan(self):
        return [(found[0].encode(), bytes.fromhex(found[1])) + tuple(found[2:]) for found in host.call("nic_scan")]

    def config(self, what=None, **settings):
        if what is None:
            for name, value in settings.items():
                host.call("nic_set", name, value)
            return None
        value = host.call("nic_get", what)
        return bytes.fromhex(value) if what == "mac" else value

    def ifconfig(self, settings=None):
        return tuple(host.call("nic_addresses"))

    def ipconfig(self, what=None, **settings):
        address, mask, gateway, _ = host.call("nic_addresses")
        values = {"addr4": (address, mask), "gw4": gateway, "dhcp4": True, "has_dhcp4": self.isconnected()}
        return values[what] if what is not None else None


class LAN(WLAN):
    def __init__(self, id=0, **options):
        pass

    def connect(self):
        raise AttributeError("connect")


def make_network(profile):
    def ipconfig(what=None, **settings):
        if what == "dns":
            return host.call("nic_addresses")[3]
        return None

    attributes = {
        "STA_IF": 0,
        "AP_IF": 1,
        "hostname": lambda name=None: host.call("hostname", name),
        "country": lambda code=None: code,
        "ipconfig": ipconfig,
    }
    attributes.update(profile["network_constants"])
    if profile["wifi"]:
        attributes["WLAN"] = WLAN
    if profile["ethernet"]:
        attributes["LAN"] = LAN
    return Namespace("network", attributes)


class NVS:
    def __init__(self, namespace):
        self._space = namespace

    def get_i32(self, key):
        return host.call("nvs_get", self._space, key, "i32")

    def set_i32(self, key, value):
        host.call("nvs_set", self._space, key, "i32", value)

    def get_blob(self, key, buffer):
        octets = bytes.fromhex(host.call("nvs_get", self._space, key, "blob"))
        buffer[: len(octets)] = octets
        return len(octets)

    def set_blob(self, key, octets):
        host.call("nvs_set", self._space, key, "blob", bytes(octets).hex())

    def erase_key(self, key):
        host.call("nvs_erase", self._space, key)

    def commit(self):
        host.call("nvs_commit")


def make_esp32(profile):
    return Namespace("esp32", {"NVS": NVS, "mcu_temperature": lambda: 40})
