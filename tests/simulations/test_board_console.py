"""mpremote's own library talks to the board's serial line as to hardware: raw paste, files, mount, resets, Ctrl-C."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpremote.transport import TransportExecError
from mpremote.transport_serial import SerialTransport

from simulations.board.client import Board
from simulations.board.harness import available_vms

FOREVER = """
import asyncio
async def main():
    n = 0
    while True:
        print("tick", n)
        n += 1
        await asyncio.sleep_ms(20)
asyncio.run(main())
"""


@pytest.fixture(params=available_vms())
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    with Board({"vm": request.param, "flash_pause": False}) as running:
        yield running


@pytest.fixture
def transport(board: Board) -> Iterator[SerialTransport]:
    opened = SerialTransport(board.repl)
    yield opened
    opened.close()


def test_commands_print_and_exceptions_come_apart(transport: SerialTransport) -> None:
    transport.enter_raw_repl()
    assert transport.exec("print(6 * 7)\nprint('line')") == b"42\r\nline\r\n"
    assert transport.eval("[1, None, 'x']") == [1, None, "x"]
    with pytest.raises(TransportExecError, match="ZeroDivisionError"):
        transport.exec("1 // 0")
    with pytest.raises(TransportExecError, match="SyntaxError"):
        transport.exec("1 +")
    assert transport.exec("x = 3") == b""
    assert transport.exec("print(x)") == b"3\r\n"
    assert transport.use_raw_paste


def test_a_package_tree_is_installed_and_booted_from_flash(board: Board, transport: SerialTransport) -> None:
    transport.enter_raw_repl()
    big = bytes(range(256)) * 40
    transport.fs_mkdir("/lib")
    transport.fs_mkdir("/lib/app")
    transport.fs_writefile("/lib/app/__init__.py", b"def greet():\n    return 'from flash'\n")
    transport.fs_writefile("/lib/app/data.bin", big)
    transport.fs_writefile("/main.py", b"import app\nprint('booted', app.greet())\n")
    assert transport.fs_readfile("/lib/app/data.bin") == big
    assert sorted(entry.name for entry in transport.fs_listdir("/lib/app")) == ["__init__.py", "data.bin"]
    assert transport.fs_isdir("/lib/app")
    assert not transport.fs_exists("/nothing")
    with pytest.raises(OSError, match="nothing"):
        transport.fs_readfile("/nothing")
    transport.exit_raw_repl()
    transport.serial.write(b"\x04")
    board.wait_for_text("booted from flash", 10)


def test_a_mounted_folder_is_importable_though_it_holds_ctrl_c(transport: SerialTransport, tmp_path: Path) -> None:
    (tmp_path / "far.py").write_bytes(b"VALUE = b'\\x01'\nRAW = '\x03\x04'\n")
    transport.enter_raw_repl()
    transport.mount_local(str(tmp_path))
    assert transport.exec("import far\nprint(far.VALUE, far.RAW.encode())") == b"b'\\x01' b'\\x03\\x04'\r\n"
    transport.umount_local()


def test_only_ctrl_c_stops_a_running_program(board: Board, transport: SerialTransport) -> None:
    transport.enter_raw_repl()
    transport.fs_writefile("/main.py", FOREVER.encode())
    board.client.reset()
    printed = board.wait_for_text("tick 1", 10)
    transport.serial.write(b"print('no')\r\x01\x04")
    board.wait_for_text("tick 20", 10, after=len(printed))
    transport.enter_raw_repl()
    assert "KeyboardInterrupt" in board.printed()
    assert transport.exec("print('mine')") == b"mine\r\n"
    transport.fs_rmfile("/main.py")


def test_the_friendly_prompt_echoes_and_runs_a_line(board: Board) -> None:
    port = int(board.repl.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.sendall(b"\r\nprint(40 + 2)\r\n")
        seen = b""
        while b"42" not in seen:
            seen += line.recv(1000)
    assert b"print(40 + 2)\r\n42" in seen.replace(b">>> ", b"")


def test_a_reset_by_button_runs_main_again(board: Board, transport: SerialTransport) -> None:
    transport.enter_raw_repl()
    transport.fs_writefile("/main.py", b"import machine\nprint('cause', machine.reset_cause())\n")
    board.client.reset()
    board.wait_for_text("cause 2", 10)
    assert [event["kind"] for event in board.client.events()][-2:] == ["off", "boot"]
