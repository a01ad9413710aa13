"""Power-on of the virtual board: puts the board's modules in place, runs /boot.py and /main.py, then serves the prompt.

Used by both machines. `step` does one piece of work; the wasm machine calls it again and again from JavaScript (its
memory is collected in between), the unix machine from `serve`.
"""

import asyncio.core
import gc
import io
import sys

import board_fs
import board_host as host
import board_hw as hw
import board_loop as loop
import board_net as net
import board_rom as rom
import vfs

PIECE = 400

_globals = {"__name__": "__main__"}
_files = ["/boot.py"]
# Of the program that runs: "file", "command" or None; and what it raised.
_program = None
_failure = ""
_board_sys = None


def boot():
    """Install the board's modules and its file system."""
    global _board_sys
    profile = host.call("boot")
    net.platform = profile["platform"]
    net.tls_session_bytes = profile["tls_session_bytes"]
    net.tls_handshake_bytes = profile["tls_handshake_bytes"]
    if host.vbhost is not None:
        loop.install_wasm()
    else:
        loop.install_unix()
    _board_sys = hw.make_sys(profile)
    asyncio.core.sys = _board_sys
    modules = {
        "sys": _board_sys,
        "time": hw.make_time(profile),
        "os": hw.make_os(profile),
        "micropython": hw.make_micropython(profile),
        "machine": hw.make_machine(profile),
        "network": hw.make_network(profile),
        "socket": net,
        "select": net,
        "ssl": net,
        "tls": net.tls,
    }
    if profile["platform"] == "esp32":
        modules["esp32"] = hw.make_esp32(profile)
    for name in list(sys.modules):
        if name.startswith("board_"):
            del sys.modules[name]
    sys.modules.update(modules)
    vfs.umount("/")
    vfs.mount(board_fs.Filesystem(), "/")
    sys.path[:] = ["", ".frozen", "/lib"]
    rom.install(profile)
    if profile["run_main"]:
        _files.append("/main.py")
    gc.collect()


def serve():
    """The unix machine's life."""
    while step():
        pass


def step():
    """One batch of the running program's tasks, or the end of it, or the start of the next."""
    if host.measure:
        host.measure = False
        host.call("heap", gc.mem_alloc())
    if loop.running():
        try:
            loop.step()
        except BaseException as error:
            loop.forget()
            _report(error)
    elif _program is not None:
        _finish()
    elif _files:
        _start_file(_files.pop(0))
    else:
        _start_command()
    return True


def _start_file(path):
    global _program
    try:
        host.call("fs_stat", path)
    except OSError as error:
        if error.errno != 2:
            _board_sys.print_exception(error)
        return
    _program = "file"
    try:
        execfile(path, _globals)  # noqa: F821 (a builtin of MicroPython)
    except BaseException as error:
        _report(error)


def _start_command():
    """Wait for what is typed at the prompt, or sent in raw mode, and start it."""
    global _program
    try:
        source = b""
        left = host.call("command")
        while left:
            # Handle 0xffff is the command, 2048 octets a piece.
            host.request(host.READ, b"\xff\xff\x00\x08")
            source += bytes(host.body())
            left -= len(host.body())
    except KeyboardInterrupt:
        return
    _program = "command"
    try:
        code = compile(source, "<stdin>", "exec")
        del source
        exec(code, _globals)
    except BaseException as error:
        _report(error)


def _finish():
    global _program, _failure
    program, _program = _program, None
    failure, _failure = _failure, ""
    if program == "file":
        if failure:
            host.call("program_failed")
            _board_sys.stdout.write(failure)
        return
    for at in range(0, len(failure), PIECE):
        host.call("failed", failure[at : at + PIECE])
    host.call("done")


def _report(error):
    """Keep the traceback of an uncaught exception; SystemExit is a soft reset, as on the boards."""
    global _failure
    if isinstance(error, SystemExit):
        host.call("reset", "soft")
    text = io.StringIO()
    sys.print_exception(error, text)
    _failure += text.getvalue()
