"""Numbers on the wire and what they stand for. A code, once given, never changes its meaning."""

# What a target belongs to (the segment of the path where a fault can sit).
SEGMENT_WITNESS = 0
SEGMENT_POWER = 1
SEGMENT_ENDPOINT = 2
SEGMENT_LAN = 3
SEGMENT_ROUTER = 4
SEGMENT_ACCESS = 5
SEGMENT_TRANSIT = 6
SEGMENT_PROVIDER = 7
SEGMENT_CARRIER = 8
SEGMENT_NAMES = ("witness", "power", "endpoint", "lan", "router", "access", "transit", "provider", "carrier")

# How a target is probed.
METHOD_SELF = 0  # the witness about itself: heap, stalls
METHOD_LINK = 1  # Wi-Fi or Ethernet facts
METHOD_ICMP = 2  # ICMP echo (RFC 792)
METHOD_DNS = 3  # one query over UDP (RFC 1035)
METHOD_TCP = 4  # TCP connect, then close
METHOD_STAMP = 5  # call-quality window against a session-reflector (RFC 8762)
METHOD_SIP_UDP = 6  # SIP OPTIONS over UDP (RFC 3261)
METHOD_SNMP = 7  # one Get of a router's WAN interface (RFC 3416)
METHOD_IGD = 8  # UPnP Internet Gateway Device: the default gateway's own account of its line
METHOD_NTP = 9  # one SNTP query (RFC 5905): offset and root distance
METHOD_STUN = 10  # one Binding request (RFC 8489): our public address
METHOD_TLS = 11  # TCP connect and TLS handshake, then close
METHOD_SIP_TCP = 12  # SIP OPTIONS over TCP
METHOD_SIP_TLS = 13  # SIP OPTIONS over TLS
METHOD_CALL = 14  # a real test call: SIP INVITE, RTP both ways, BYE
METHOD_NAMES = (
    "self", "link", "icmp", "dns", "tcp", "stamp", "sip_udp", "snmp", "igd", "ntp", "stun", "tls", "sip_tcp", "sip_tls",
    "call",
)  # fmt: skip

# What a target is for: evidence about its segment, or a control that fails with a kind of probe.
ROLE_SUBJECT = 0
ROLE_CONTROL = 1
ROLE_NAMES = ("subject", "control")

# What became of one sample.
FATE_LOST = 0  # no reply within the loss threshold
FATE_ANSWERED = 1  # the wanted reply
FATE_WRONG = 2  # a reply that says that the service fails (refused, SERVFAIL, SIP 5xx); its code is in the reading
FATE_VOID = 3  # not a measurement: the witness itself stalled, or had no link to send on

# Where UTC came from.
CLOCK_NONE = 0  # never synchronised in this boot
CLOCK_SNTP = 1  # a majority of SNTP servers (RFC 5905)
CLOCK_NAMES = ("none", "sntp")

# Why the board started.
RESET_UNKNOWN = 0
RESET_POWER = 1
RESET_HARD = 2
RESET_WATCHDOG = 3
RESET_SOFT = 4
RESET_BROWNOUT = 5
RESET_NAMES = ("unknown", "power", "hard", "watchdog", "soft", "brownout")

# What a board can do (bits of the boot event's capabilities).
CAN_RAW_ICMP = 1
CAN_DSCP = 2
CAN_TTL = 4
CAN_ETHERNET = 8
CAN_BSSID = 16
CAN_TLS = 32
CAN_CODE_IN_PLACE = 64  # executes its firmware from the flash; without it, it loads it into memory
CAPABILITY_NAMES = {1: "raw_icmp", 2: "dscp", 4: "ttl", 8: "ethernet", 16: "bssid", 32: "tls", 64: "code_in_place"}

# What happened at the witness. The numbers after each kind are its details, in order (see record.EVENT_DETAILS).
EVENT_BOOT = 1  # reset cause, board code, capabilities, uptime_us when the journal was ready
EVENT_LINK_DOWN = 2  # reason code of the port
EVENT_LINK_UP = 3  # RSSI dBm (0 on a wire), channel (0 on a wire)
EVENT_ADDRESS = 4  # IPv4 address, mask, gateway
EVENT_CLOCK_SET = 5  # offset_us against the monotonic placement before (0 at first), bound_us, source
EVENT_CLOCK_STEP = 6  # step_us: the servers' majority moved by more than both bounds allow
EVENT_CLOCK_REFUSED = 7  # server index, offset_us: an outlier
EVENT_PLAN = 8  # SHA-256 of the plan now in force
EVENT_TRIMMED = 9  # first and last sequence number whose bodies were dropped, how many
EVENT_TASK = 10  # task code, fault code, restarts so far
EVENT_STATE = 11  # target, 1 failing / 0 clear
EVENT_FAULT = 12  # fault code, count
EVENT_COMMAND = 13  # counter, command code, 0 done / fault code
EVENT_PUBLIC_ADDRESS = 14  # target that told it, IPv4 address
EVENT_BACKUP = 15  # 1: the public address is not that of the usual line, 0: it is again
EVENT_ROAMED = 16  # channel before, channel now, without a loss of association that was seen
EVENT_SAFE_MODE = 17  # crashes in a row before this boot, which measures nothing
EVENT_NAMES = {
    1: "boot",
    2: "link_down",
    3: "link_up",
    4: "address",
    5: "clock_set",
    6: "clock_step",
    7: "clock_refused",
    8: "plan",
    9: "trimmed",
    10: "task",
    11: "state",
    12: "fault",
    13: "command",
    14: "public_address",
    15: "backup",
    16: "roamed",
    17: "safe_mode",
}

# Faults that a witness can report of itself.
FAULT_MEMORY = 1
FAULT_FLASH = 2
FAULT_NETWORK = 3
FAULT_PROTOCOL = 4
FAULT_CONFIG = 5
FAULT_CRASH = 6
FAULT_STUCK = 7
FAULT_NAMES = ("none", "memory", "flash", "network", "protocol", "config", "crash", "stuck")

# Commands to a witness.
COMMAND_PLAN = 1
COMMAND_RESEND = 2
COMMAND_REBOOT = 3
COMMAND_NAMES = {1: "plan", 2: "resend", 3: "reboot"}

# Codecs whose Ie and Bpl the call-quality arithmetic uses (ITU-T G.113 Appendix I).
CODEC_G711 = 0  # no packet loss concealment
CODEC_G711_PLC = 1
CODEC_G729A = 2
CODEC_G723_1 = 3  # 6.3 kbit/s
CODEC_GSM_EFR = 4
CODEC_AMR_12_2 = 5  # AMR narrowband at 12.2 kbit/s
CODEC_NAMES = ("G.711", "G.711 PLC", "G.729A", "G.723.1", "GSM-EFR", "AMR 12.2")

# mbedTLS's numbers among a reading's codes.
TLS_UNTRUSTED = -0x2700  # the certificate does not hold; less the bits of why:
TLS_EXPIRED, TLS_OTHER_NAME, TLS_OTHER_AUTHORITY, TLS_NOT_YET = 1, 4, 8, 64
TLS_ALERT = -0x7780  # the server ended the handshake by an alert

# What became of a test call; SIP statuses stand beside it in the reading's codes.
CALL_DONE = 0  # answered, talked for its time, ended by us
CALL_SILENT = 1  # no response at all to INVITE
CALL_RINGING = 2  # provisional responses only within the time allowed; cancelled
CALL_REFUSED = 3  # a final status other than 2xx
CALL_NOT_REGISTERED = 4  # REGISTER had no 200
CALL_NOT_AUTHENTICATED = 5  # our credentials were refused, or asked for in a way that we don't have
CALL_BAD_ANSWER = 6  # the answer's session description is none that we can use
CALL_CUT = 7  # the far end hung up before its time
CALL_NO_MEDIA = 8  # answered, but no RTP came in
CALL_NO_ECHO = 9  # RTP came in, but nothing of ours in it, from an extension that should echo
CALL_NOT_SENT = 10  # the witness could not send: no link, or no room
CALL_NAMES = (
    "done", "silent", "ringing", "refused", "not_registered", "not_authenticated", "bad_answer", "cut", "no_media",
    "no_echo", "not_sent",
)  # fmt: skip
