"""The one pipe pair between the machine and the virtual board's parent: a request, then its reply.

Request: u32 length of the frame, u8 operation, u24 microseconds by which the
machine's virtual clock is ahead (0 with a real one), body. Reply: u32 length, i32 status (below 0: an errno,
or INTERRUPTED), u64 the parent's clock in microseconds, u64 until when nothing will happen unless the machine does it
(0: unknown), body. The parent answers every request but CONSOLE.
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
REQUEST_HEADER = 8
REPLY_HEADER = 24

# Status of a POLL that asks for a measurement of the live heap; then True until it is made.
MEASURE = 1
measure = False

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
    n = REQUEST_HEADER
    _request_view[n : n + len(first)] = first
    n += len(first)
    if more:
        _request_view[n : n + len(more)] = more
        n += len(more)
    struct.pack_into("<II", _request, 0, n, operation)
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
    request(CALL, json.dumps((name,) + args).encode())
    return json.loads(bytes(body()))


def clock_us():
    """The parent's clock at the last reply."""
    return struct.unpack_from("<Q", _reply, 8)[0]
