"""Plain source runs on every MicroPython machine of this computer, and its failures are told."""

import pytest

from simulations.board.harness import VmError, available_vms, package_files, run_on_vm

pytestmark = pytest.mark.parametrize("vm", available_vms())


def test_output_and_files_reach_the_machine(vm: str) -> None:
    files = {"pack/__init__.py": "", "pack/sums.py": "def double(x):\n    return 2 * x\n", "data.bin": b"\0\xff"}
    main = "from pack.sums import double\nprint(double(21), open('data.bin', 'rb').read() == b'\\0\\xff')"
    assert run_on_vm(vm, files, main) == "42 True\n"


def test_it_is_micropython(vm: str) -> None:
    assert run_on_vm(vm, {}, "import sys\nprint(sys.implementation.name)") == "micropython\n"


def test_an_exception_comes_back_with_the_traceback(vm: str) -> None:
    with pytest.raises(VmError, match=r"line 2, in <module>(.|\n)*ZeroDivisionError"):
        run_on_vm(vm, {}, "print('before')\n1 // 0")


def test_an_endless_program_is_stopped(vm: str) -> None:
    with pytest.raises(VmError, match=r"not done after"):
        run_on_vm(vm, {}, "while True:\n    pass", timeout_s=1)


def test_a_package_directory_is_importable(vm: str, tmp_path) -> None:
    (tmp_path / "tree" / "leaf").mkdir(parents=True)
    for name in ("tree/__init__.py", "tree/leaf/__init__.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "tree/leaf/one.py").write_text("VALUE = 1\n")
    files = package_files(tmp_path / "tree")
    assert run_on_vm(vm, files, "from tree.leaf.one import VALUE\nprint(VALUE)") == "1\n"
