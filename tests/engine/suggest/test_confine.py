"""What a confined process can still do: tried by one, and by one that is not."""

from __future__ import annotations

import ctypes
import json
import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

LANDLOCK = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)

OWN = ("open, blobs + '/song'", "__import__, 'guessit'")
FILES = (
    "open, top + '/secret'", "os.listdir, top", "open, blobs + '/new', 'w'", "os.mkdir, blobs + '/folder'",
    "os.symlink, 'x', blobs + '/link'", "os.truncate, blobs + '/song', 0",
    "os.rename, blobs + '/song', blobs + '/other'",
    "os.unlink, blobs + '/junk'", "open, '/etc/passwd'", "open, f'/proc/{other}/environ'",
)  # fmt: skip
CALLS = (
    "socket.socket, socket.AF_INET, socket.SOCK_STREAM", "connect, top + '/control'", "socket.socketpair",
    "subprocess.run, ['/bin/true']",
)  # fmt: skip
SIGNAL = "os.kill, other, 0"

PROGRAM = """
import json, mimetypes, os, socket, subprocess, sys
from engine.suggest.confine import confine
top, blobs, other = sys.argv[1], sys.argv[1] + "/blobs", int(sys.argv[2])
def connect(path):
    with socket.socket(socket.AF_UNIX) as plug:
        plug.connect(path)
def attempt(call, *arguments):
    try:
        call(*arguments)
        return "done"
    except OSError as error:
        return error.strerror
mimetypes.init()
if sys.argv[3] == "confined":
    confine([blobs])
print(json.dumps({code: eval(f"attempt({code})") for code in sys.argv[4:]}))
"""


def tried(top: Path, how: str) -> dict[str, str]:
    (top / "blobs").mkdir()
    for name in ("blobs/song", "blobs/junk", "secret"):
        (top / name).touch()
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(top / "control"))
        control.listen()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            command = [sys.executable, "-c", PROGRAM, str(top), str(other.pid), how, *OWN, *FILES, *CALLS, SIGNAL]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tried(tmp_path_factory.mktemp("confined"), "confined")


def test_each_of_them_works_elsewhere(tmp_path: Path) -> None:
    assert set(tried(tmp_path, "free").values()) == {"done"}


def test_its_own_folder_can_be_read_and_python_goes_on(confined: dict[str, str]) -> None:
    assert {confined[code] for code in OWN} == {"done"}


@pytest.mark.skipif(LANDLOCK < 3, reason="this kernel has no Landlock, or one that lets files be cut")
def test_nothing_else_of_the_file_system(confined: dict[str, str]) -> None:
    assert {code: confined[code] for code in FILES} == dict.fromkeys(FILES, "Permission denied")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the numbers of calls are not known here")
def test_no_network_and_no_program(confined: dict[str, str]) -> None:
    assert {code: confined[code] for code in CALLS} == dict.fromkeys(CALLS, "Operation not permitted")


@pytest.mark.skipif(LANDLOCK < 6, reason="this kernel cannot confine signals")
def test_no_signals_to_others(confined: dict[str, str]) -> None:
    assert confined[SIGNAL] == "Operation not permitted"
