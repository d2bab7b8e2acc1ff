"""Programs that only look, by the names that the kernel has of real ones."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tagfs.config.settings import ONLOOKERS
from tagfs.mount.onlookers import is_onlooker, names


def test_names_are_cut_as_the_kernel_cuts_them() -> None:
    assert names("tumblerd, totem-video-thumbnailer,,  x ") == {"tumblerd", "totem-video-thu", "x"}
    assert names("") == frozenset()
    assert len(names(ONLOOKERS)) == len(ONLOOKERS.split(","))


@pytest.mark.parametrize("name", ["tumblerd", "totem-video-thumbnailer", "cat"])
def test_a_process_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("cat") or "/bin/cat", program)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"  # by now it is itself
        assert is_onlooker(process.pid, names(ONLOOKERS)) == (name != "cat")
        process.stdin.close()
    assert not is_onlooker(process.pid, names(ONLOOKERS))


def test_a_thread_is_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path("/proc/self/comm").read_text().rstrip("\n")
    answers: list[bool] = []

    def look() -> None:
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("pool-worker")
        answers.append(is_onlooker(threading.get_native_id(), [own]))
        answers.append(is_onlooker(threading.get_native_id(), ["pool-worker"]))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert answers == [True, False]


def test_nobody_that_can_be_seen_is_none() -> None:
    assert not is_onlooker(0, ["x"])
    assert not is_onlooker(2**22 + 1, ["x"])
