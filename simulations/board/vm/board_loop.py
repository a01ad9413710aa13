"""What asyncio lacks on the wasm machine, and waiting for I/O through the parent on both.

The frozen scheduler runs the tasks; here are the queue of tasks that wait for a stream, and for the wasm machine
`run`, `step` and the streams. The unix machine keeps its own `run` and streams, over the same queue.
"""

import asyncio
import asyncio.core as core
import gc

import board_host as host
import board_net as net

# A task that never waits for longer than 0 ms would keep the frozen _run_iter from ever returning, and with it I/O and
# the collection of memory: it is shown a due time in the future after so many calls.
BATCH_CALLS = 64


class IOQueue:
    """Tasks waiting for a stream to be readable or writable; the interface of the stock asyncio's IOQueue."""

    def __init__(self):
        self.poller = net.poll()
        self.map = {}

    def _enqueue(self, stream, index):
        entry = self.map.get(id(stream))
        if entry is None:
            entry = [None, None, stream]
            self.map[id(stream)] = entry
        assert entry[index] is None
        entry[index] = core.cur_task
        self._watch(entry)
        # Lets cancel() take the task out of this queue.
        core.cur_task.data = self

    def _watch(self, entry):
        events = (net.POLLIN if entry[0] is not None else 0) | (net.POLLOUT if entry[1] is not None else 0)
        if events:
            self.poller.register(entry[2], events)
        else:
            del self.map[id(entry[2])]
            self.poller.unregister(entry[2])

    def queue_read(self, stream):
        self._enqueue(stream, 0)

    def queue_write(self, stream):
        self._enqueue(stream, 1)

    def remove(self, task):
        for entry in list(self.map.values()):
            if entry[0] is task or entry[1] is task:
                if entry[0] is task:
                    entry[0] = None
                if entry[1] is task:
                    entry[1] = None
                self._watch(entry)

    def wait_io_event(self, timeout_ms):
        if host.measure and host.vbhost is None:
            # The wasm machine's memory is collected later, in JavaScript: there board_boot.step does this.
            host.measure = False
            gc.collect()  # what ran since the measurement was asked for has left garbage
            host.call("heap", gc.mem_alloc())
        for stream, events in self.poller.poll(timeout_ms):
            entry = self.map.get(id(stream))
            if entry is None:
                continue
            if events & ~net.POLLOUT and entry[0] is not None:
                core._task_queue.push(entry[0])
                entry[0] = None
            if events & ~net.POLLIN and entry[1] is not None:
                core._task_queue.push(entry[1])
                entry[1] = None
            self._watch(entry)


def install_unix():
    """Put the queue under the unix machine's own asyncio."""
    core.IOQueue = IOQueue
    core.new_event_loop()
    if host.is_virtual:
        # The C scheduler stamps a task that is woken with the real time: what it is stamped with must have passed.
        # Three days ahead of it, and three of virtual time, are within half a period of a machine of 4-octet words.
        later_ms = core.ticks_add(core.ticks(), 1 << 28)
        core.ticks = lambda: core.ticks_add(later_ms, host.look_us() // 1000)


# From here on: the wasm machine only.

_calls_left = 0
_ticks_diff = core.ticks_diff
_main = None
_main_error = None


def _bounded_ticks_diff(a, b):
    global _calls_left
    _calls_left -= 1
    return 1 if _calls_left < 0 else _ticks_diff(a, b)


async def _supervise(coroutine):
    """Keep the main task's exception from the handler of lost exceptions: step() raises it."""
    global _main_error
    try:
        await coroutine
    except BaseException as error:
        _main_error = error


def run(coroutine):
    """Start the main task. Returns at once: it has to be the last statement of the program."""
    global _main, _main_error
    _main_error = None
    _main = core.create_task(_supervise(coroutine))


def running():
    return _main is not None


def forget():
    """Drop every task, as after KeyboardInterrupt at the prompt."""
    global _main
    _main = None
    core.new_event_loop()
    core._io_queue = IOQueue()


def step():
    """Run one batch of tasks, then wait for I/O or the next due time. Raises what the main task raised."""
    global _calls_left, _main
    _calls_left = BATCH_CALLS
    core._run_iter()
    if _main.done():
        _main = None
        if _main_error is not None:
            raise _main_error
        return
    head = core._task_queue.peek()
    if head is None:
        timeout_ms = -1
    else:
        timeout_ms = max(0, _ticks_diff(head.ph_key, core.ticks()))
    core._io_queue.wait_io_event(timeout_ms)


def _pause():
    yield


class Stream:
    """asyncio's StreamReader and StreamWriter."""

    def __init__(self, s, e=None):
        self.s = s
        self.e = e
        self.out_buf = b""

    def get_extra_info(self, v):
        return self.e[v]

    def close(self):
        pass

    async def wait_closed(self):
        self.s.close()

    async def _readable(self):
        core._io_queue.queue_read(self.s)
        await _pause()

    async def read(self, n=-1):
        octets = b""
        while True:
            await self._readable()
            more = self.s.read(n)
            if more is not None:
                if n >= 0:
                    return more
                if not more:
                    return octets
                octets += more

    async def readinto(self, buf):
        await self._readable()
        return self.s.readinto(buf)

    async def readexactly(self, n):
        octets = b""
        while n:
            await self._readable()
            more = self.s.read(n)
            if more is not None:
                if not more:
                    raise EOFError
                octets += more
                n -= len(more)
        return octets

    async def readline(self):
        line = b""
        while True:
            await self._readable()
            more = self.s.readline()
            if more is not None:
                line += more
                if not more or line[-1] == 10:
                    return line

    def write(self, buf):
        if not self.out_buf:
            # Try to write at once, as the stock streams do.
            sent = self.s.write(buf)
            if sent == len(buf):
                return
            if sent is not None:
                buf = buf[sent:]
        self.out_buf += buf

    async def drain(self):
        if not self.out_buf:
            await core.sleep_ms(0)
            return
        view = memoryview(self.out_buf)
        offset = 0
        while offset < len(view):
            core._io_queue.queue_write(self.s)
            await _pause()
            sent = self.s.write(view[offset:])
            if sent is not None:
                offset += sent
        self.out_buf = b""


async def open_connection(host, port, ssl=None, server_hostname=None):
    address = net.getaddrinfo(host, port)[0][-1]
    s = net.socket(net.AF_INET, net.SOCK_STREAM)
    s.setblocking(False)
    try:
        s.connect(address)
    except OSError as error:
        if error.errno != net.EINPROGRESS:
            raise
    if ssl:
        if ssl is True:
            ssl = net.SSLContext(net.PROTOCOL_TLS_CLIENT)
        s = ssl.wrap_socket(s, server_hostname=server_hostname or host, do_handshake_on_connect=False)
        s.setblocking(False)
    core._io_queue.queue_write(s)
    await _pause()
    stream = Stream(s)
    return stream, stream


class Server:
    async def __aenter__(self):
        return self

    async def __aexit__(self, exc_type, exc, tb):
        self.close()
        await self.wait_closed()

    def close(self):
        self.task.cancel()

    async def wait_closed(self):
        await self.task

    async def _serve(self, s, callback):
        self.state = False
        while True:
            try:
                core._io_queue.queue_read(s)
                await _pause()
            except core.CancelledError:
                s.close()
                return
            try:
                accepted, address = s.accept()
            except OSError:
                # The peer was gone before it was accepted.
                continue
            accepted.setblocking(False)
            stream = Stream(accepted, {"peername": address})
            core.create_task(callback(stream, stream))


async def start_server(callback, host, port, backlog=5):
    server = Server()
    s = net.socket(net.AF_INET, net.SOCK_STREAM)
    s.setblocking(False)
    s.setsockopt(net.SOL_SOCKET, net.SO_REUSEADDR, 1)
    s.bind(net.getaddrinfo(host, port)[0][-1])
    s.listen(backlog)
    server.task = core.create_task(server._serve(s, callback))
    return server


class ThreadSafeFlag:
    """Set from a scheduled callback, waited for by one task; nothing here runs beside the loop."""

    def __init__(self):
        self._event = asyncio.Event()

    def set(self):
        self._event.set()

    def clear(self):
        self._event.clear()

    async def wait(self):
        await self._event.wait()
        self._event.clear()


class _Loop:
    """get_event_loop() of the wasm machine, with what it lacks."""

    def __init__(self, loop):
        self._loop = loop

    def __getattr__(self, name):
        return getattr(self._loop, name)

    def run_until_complete(self, coroutine):
        run(coroutine)

    def run_forever(self):
        run(_forever())


async def _forever():
    while True:
        await asyncio.sleep(3600)


def install_wasm():
    """Complete the wasm machine's asyncio. Fails when the frozen scheduler is not the one this was written for."""
    for name in ("_run_iter", "_schedule_run_iter", "ticks_diff", "new_event_loop", "_task_queue", "cur_task"):
        if not hasattr(core, name):
            raise RuntimeError("asyncio.core has no " + name + ": another version of the machine than package.json's")
    core._schedule_run_iter = lambda delay_ms: None
    core.ticks_diff = _bounded_ticks_diff
    frozen_loop = core.get_event_loop()
    for module in (core, asyncio):
        module.get_event_loop = lambda: _Loop(frozen_loop)
        module.run = run
    core.IOQueue = IOQueue
    asyncio.open_connection = open_connection
    asyncio.start_server = start_server
    asyncio.Stream = asyncio.StreamReader = asyncio.StreamWriter = Stream
    asyncio.Server = Server
    asyncio.ThreadSafeFlag = ThreadSafeFlag
    forget()
