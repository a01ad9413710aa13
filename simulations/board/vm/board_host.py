"""The one pipe pair between the machine and the virtual board's parent: a request, then its reply.

Request: u32 length of the frame, u8 operation, u24 microseconds by which the
machine's virtual clock is ahead (0 with a real one), body. Reply: u32 length, i32 status (below 0: an errno,
or INTERRUPTED), u64 the parent's clock in microseconds, u64 until when nothing will happen unless the machine does it
(0: unknown), body. The parent answers every request but CONSOLE.

The unix machine's virtual clock is here (the wasm machine's is in board.mjs, and like this one): it stands still
between requests but for what each look at it costs. A wait in which nothing can happen is over at once, without the
parent, and a question about the interface, which the firmware asks four times a second, has the answer that it had.
"""

import json
import struct
import sys

CONSOLE = 1
POLL = 2
SEND = 3
SENDTO = 4
RECV = 5
RECVFROM = 6
READ = 7
WRITE = 8
CALL = 9
SLEEP = 10
RANDOM = 11

INTERRUPTED = -9999
REFUSED = -9998
TLS_ERRORS = -10000
MAX_BODY = 2048
LOOK_US = 2
MOST_AHEAD_US = 0xFFFFFF
POLLIN = 1
REQUEST_HEADER = 8
REPLY_HEADER = 24

# Status of a POLL that asks for a measurement of the live heap; then True until it is made.
MEASURE = 1
measure = False

# Of the unix machine in virtual time: by how much its clock is ahead of the parent's at the last reply.
is_virtual = False
_ahead_us = 0
_ASKED = ("nic_status", "nic_addresses")
_answers = {}
_answers_until_us = 0
_answers_of = 0  # lowest bit of idle_until_us() when they were given

_request = bytearray(REQUEST_HEADER + MAX_BODY + 16)
_reply = bytearray(REPLY_HEADER + MAX_BODY + 16)
_request_view = memoryview(_request)
_reply_view = memoryview(_reply)

try:
    import uctypes
    import vbhost

    _request_address = uctypes.addressof(_request)
    _reply_address = uctypes.addressof(_reply)

    def _exchange(length):
        vbhost.call(_request_address, length, _reply_address)

except ImportError:
    vbhost = None
    is_virtual = sys.argv[3:] == ["virtual"]
    _to_parent = open(int(sys.argv[1]), "wb")
    _from_parent = open(int(sys.argv[2]), "rb")

    def _exchange(length):
        _to_parent.write(_request_view[:length])
        # readinto comes back only when its buffer is full, so it is asked for the exact lengths.
        if _from_parent.readinto(_reply_view[:REPLY_HEADER]) != REPLY_HEADER:
            raise SystemExit
        need = struct.unpack_from("<I", _reply, 0)[0]
        if need > REPLY_HEADER:
            _from_parent.readinto(_reply_view[REPLY_HEADER:need])


def request(operation, first=b"", more=b""):
    """Send `first` + `more` (together at most MAX_BODY + 16 octets); return the status, 0 or more."""
    global _ahead_us
    if is_virtual and operation == POLL and _waited_alone(first, more):
        return 0
    n = REQUEST_HEADER
    _request_view[n : n + len(first)] = first
    n += len(first)
    if more:
        _request_view[n : n + len(more)] = more
        n += len(more)
    struct.pack_into("<II", _request, 0, n, operation | _ahead_us << 8)
    _ahead_us = 0
    _exchange(n)
    status = struct.unpack_from("<i", _reply, 4)[0]
    if status < 0:
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        if status == REFUSED:
            raise ValueError(bytes(body()).decode())
        # Past TLS_ERRORS: mbedTLS's own numbers, which are negative.
        raise OSError(-status if status > TLS_ERRORS else status - TLS_ERRORS)
    return status


def body():
    """A view of the last reply's body; valid until the next request."""
    return _reply_view[REPLY_HEADER : struct.unpack_from("<I", _reply, 0)[0]]


def call(name, *args):
    """Any of the parent's named functions, arguments and result as JSON."""
    global _answers_until_us, _answers_of
    question = json.dumps((name,) + args)
    if is_virtual and name in _ASKED:
        if clock_us() + _ahead_us >= _answers_until_us or idle_until_us() & 1 != _answers_of:
            _answers.clear()
        elif question in _answers:
            return _answers[question]
    elif name.startswith("nic_"):
        _answers.clear()
    request(CALL, question.encode())
    answer = json.loads(bytes(body()))
    if is_virtual and name in _ASKED:
        _answers[question] = answer
        _answers_until_us = idle_until_us()
        _answers_of = _answers_until_us & 1
    return answer


def clock_us():
    """The parent's clock at the last reply."""
    return struct.unpack_from("<Q", _reply, 8)[0]


def idle_until_us():
    """Until when nothing will happen unless the machine does it, as the last reply has it; 0 or 1: unknown. Its lowest
    bit changes when the interface did."""
    return struct.unpack_from("<Q", _reply, 16)[0]


def look_us():
    """The virtual clock; looking at it costs LOOK_US, so that a program that waits by looking gets on."""
    global _ahead_us
    if _ahead_us + LOOK_US <= MOST_AHEAD_US:
        _ahead_us += LOOK_US
    return clock_us() + _ahead_us


def _waited_alone(first, more):
    """Whether the time of this POLL could pass without the parent: it waits for input alone, and none can come."""
    global _ahead_us
    timeout_ms = struct.unpack_from("<i", first, 0)[0]
    ahead_us = _ahead_us + timeout_ms * 1000
    if timeout_ms < 0 or ahead_us > MOST_AHEAD_US or clock_us() + ahead_us >= idle_until_us():
        return False
    for octets in (first[4:], more):
        for at in range(2, len(octets), 3):
            if octets[at] != POLLIN:
                return False
    _ahead_us = ahead_us
    struct.pack_into("<Ii", _reply, 0, REPLY_HEADER, 0)
    return True
