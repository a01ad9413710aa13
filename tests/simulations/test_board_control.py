"""A board in a process of its own: its control channel, a kill as power cut, its description's faults, the command."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulations.board.client import Board, BoardError
from simulations.board.config import ConfigError, parse_config, read_config
from simulations.board.harness import available_vms
from simulations.board.profile import ProfileError, load_profile, profile_names
from tests.simulations.board_world import CONNECT_WIFI, office, udp_echo

vms = pytest.mark.parametrize("vm", available_vms())

PROBE = (
    CONNECT_WIFI
    + """
async def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    n = 0
    while True:
        try:
            s.sendto(b"%d" % n, ("198.51.100.10", 5060))
            await asyncio.sleep_ms(50)
            print("reply", s.recv(20))
        except OSError as error:
            print("lost", error.errno)
        n += 1
asyncio.run(main())
"""
)


@vms
def test_links_wifi_clock_and_heap_are_at_hand_while_it_runs(vm: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROBE)
    with udp_echo() as port:
        description = {
            "vm": vm,
            "profile": "esp32-devkitc",
            "network": office(udp_port=port),
            "flash_pause": False,
            "nic": {"associate_ms": 50},
            "install": {"/main.py": str(tmp_path / "main.py")},
        }
        with Board(description) as board:
            board.wait_for_text("reply", 10)
            board.client.link("access", down=True)
            at = len(board.wait_for_text("lost 11\nlost 11\nlost 11", 10))
            board.client.link("access", down=False, delay_ms=1)
            at = len(board.wait_for_text("reply", 10, after=at))
            board.client.nic_drop()
            at = len(board.wait_for_text("lost 113\n", 10, after=at))
            board.client.nic_restore()
            at = len(board.wait_for_text("reply", 10, after=at))
            board.client.peer("edge", "udp", 5060, None)
            board.wait_for_text("lost 11\nlost 11\n", 10, after=at)
            assert 15_000 < board.client.heap() < 120_000
            counters = board.client.counters()
            packets = board.client.packets()
            with pytest.raises(BoardError, match="no link 'wan' up; try: one of access, lan, router"):
                board.client.link("wan", down=True)
            with pytest.raises(BoardError, match="no_such"):
                board.client.do("no_such")
    assert counters["datagrams_received"] >= 3
    assert [packet["number"] for packet in packets] == list(range(len(packets)))
    assert {packet["verdict"] for packet in packets} >= {"delivered", "down"}
    assert all(packet["link"] in ("access", "interface") for packet in packets if packet["verdict"] == "down")


@vms
def test_a_killed_board_boots_from_what_its_flash_held(vm: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("""
try:
    lines = open("/journal").read().split()
    print("held", len(lines), lines == [str(n) for n in range(len(lines))])
except OSError:
    lines = []
n = len(lines)
while True:
    with open("/journal", "a") as file:
        file.write("%d\\n" % n)
    n += 1
    print("stored", n)
""")
    description = {"vm": vm, "flash_pause": False, "install": {"/main.py": str(tmp_path / "main.py")}}
    with Board(description, tmp_path / "board") as board:
        board.wait_for_text("stored 20", 10)
        board.kill()
        stored = int(board.printed().rpartition("stored ")[0].rpartition("stored ")[2].split()[0])
        before = len(board.printed())
        board.start()
        printed = board.wait_for_text("stored", 10, after=before)  # printed next: the line before it is whole
    held, whole = printed.partition("held ")[2].split("\n")[0].split()
    assert int(held) >= stored
    assert whole == "True"


def test_a_wrong_description_is_refused_in_one_line(tmp_path: Path) -> None:
    for table, said in (
        ({"machine": "wasm"}, "unknown keys machine"),
        ({"vm": "qemu"}, "try: wasm or unix"),
        ({"clock": "fast"}, "try: real or virtual"),
    ):
        with pytest.raises(ConfigError, match=said):
            parse_config(table, tmp_path)
    path = tmp_path / "board.toml"
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(path)
    path.write_text('profile = "pico-z"\n')
    done = subprocess.run(
        [sys.executable, "-m", "simulations.board", "run", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "no board 'pico-z'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_install_source_and_a_taken_port_are_told(tmp_path: Path) -> None:
    wrong = Board({"install": {"/main.py": "/nothing"}}, tmp_path / "a")
    with pytest.raises(BoardError, match=r"install: .*nothing does not exist"), wrong:
        pass
    with Board({}, tmp_path / "b") as board:
        port = board.client.counters()["repl_port"]
        late = Board({"repl_port": port}, tmp_path / "c")
        with pytest.raises(BoardError, match="in use"), late:
            pass


def test_every_board_file_is_a_whole_profile() -> None:
    assert set(profile_names()) >= {"esp32-devkitc", "esp32-poe", "pico-w"}
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.filesystem_kb * 1024 % profile.block_bytes == 0
    with pytest.raises(ProfileError, match="no board 'arduino'"):
        load_profile("arduino")


def test_the_command_lists_boards_and_machines() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulations.board", "list", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    facts = json.loads(done.stdout)
    assert "esp32-poe" in {each["name"] for each in facts["boards"]}
    assert tuple(facts["vms"]) == available_vms()


def test_several_boards_run_at_once_each_line_headed_by_its_name(tmp_path: Path) -> None:
    paths = []
    for name in ("leeds", "york"):
        (tmp_path / f"{name}.py").write_text(f"print('here is {name}')\n")
        path = tmp_path / f"{name}.toml"
        path.write_text(f'vm = "{available_vms()[0]}"\n[install]\n"/main.py" = "{name}.py"\n')
        paths.append(str(path))
    command = [sys.executable, "-m", "simulations.board", "run", *paths]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = ""
    while not all(f"{name}: here is {name}\n" in seen for name in ("leeds", "york")):
        line = process.stdout.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    process.wait(20)
