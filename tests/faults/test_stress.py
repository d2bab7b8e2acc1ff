"""Other people's torture of file systems, in a folder of a real mount: fio, stress-ng, dbench (T-R1).

They may be refused what docs/filesystem.md refuses; they may not find a byte wrong, end the mount or make it warn.
Debian packages fio, stress-ng and dbench; what is not installed is skipped by name.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tagfs.daemon import wreck
from tests.mount.conftest import Mount

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

# (name, options): every job writes what it can check, and checks all of it.
FIO = {
    "in order": "--rw=write --bs=128k",
    "random": "--rw=randwrite --bs=4k",
    "random, read back at once": "--rw=randrw --bs=4k --verify_backlog=64",
    "odd sizes": "--rw=randwrite --bsrange=512-70k --bs_unaligned=1",
    "direct": "--rw=randwrite --bs=4k --direct=1",
    "mapped": "--rw=randwrite --bs=4k --ioengine=mmap",
    "synced": "--rw=randwrite --bs=16k --fsync=16",
    "four at once": "--rw=randwrite --bs=4k --numjobs=4",
}


def needs(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed: apt-get install {tool}")
    return found


def call(mount: Mount, *command: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """In a session of its own, of which nothing is left afterwards: when one of dbench's clients fails, its parent ends
    and the others go on for ever. What does not end in time is a failure that says what it waits for."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=mount / "files/D",
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        stuck = ""
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            stuck = waiting(process.pid)
        finally:
            if not end(process):
                abort(mount)
        output.seek(0)
        told = output.read()
    assert not stuck, f"{command} did not end in {seconds} s\n{stuck}\n{told}"
    return subprocess.CompletedProcess(command, process.returncode, told, "")


def members(session: int) -> list[int]:
    """Processes of a session, zombies left out."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # ended meanwhile
            state, _, _, sid, *_ = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            if int(sid) == session and state != "Z":
                found.append(int(name))
    return found


def waiting(session: int) -> str:
    """What each process of it waits for in the kernel, and how many requests each mount owes an answer."""
    told = []
    for path in [
        *(f"/proc/{number}/{name}" for number in members(session) for name in ("comm", "wchan", "stack")),
        *sorted(str(path) for path in Path("/sys/fs/fuse/connections").glob("*/waiting")),
    ]:
        with suppress(OSError):
            told.append(f"{path}: {Path(path).read_text()}")
    return "\n".join(told)


def end(process: subprocess.Popen[bytes]) -> bool:
    """Whether the whole session could be killed; what waits in the kernel for a mount that hangs cannot."""
    for _ in range(100):
        left = members(process.pid)
        for number in left:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            if not left:
                return True
    return False


def abort(mount: Mount) -> None:
    """So that this ends as a failure, and not never: what waits for the daemon goes on when that is no more."""
    assert mount.process is not None
    mount.process.kill()
    with suppress(subprocess.TimeoutExpired):
        mount.process.wait(10)
        return
    wreck.free(mount.process.pid, str(mount.top))


@pytest.fixture
def whole(mount: Mount) -> Iterator[Mount]:
    """A mount with a folder; afterwards it is alive, nothing is wrong with it, and nothing was logged."""
    (mount / "files/D").mkdir()
    keep = mount.put("files/keep", b"kept" * 1000)
    yield mount
    assert keep.read_bytes() == b"kept" * 1000
    mount.put("files/D/after", b"alive")
    for file in (mount / "files/D").rglob("*"):
        if file.is_file() and not file.is_symlink():
            mount.settle(file)
    assert "no faults" in mount.tagfs("verify", "--data")


@pytest.mark.parametrize("job", FIO)
def test_fio_finds_no_byte_wrong(whole: Mount, job: str) -> None:
    options = ["--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--size=8m", "--group_reporting"]
    done = call(whole, needs("fio"), "--name=job", "--directory=.", *options, *FIO[job].split())
    assert done.returncode == 0, done.stdout
    assert "verify:" not in done.stdout


def stressors() -> list[str]:
    """Those of the class filesystem."""
    tool = shutil.which("stress-ng")
    if tool is None:
        return []
    listed = subprocess.run([tool, "--class", "filesystem?"], capture_output=True, text=True, check=False)
    return sorted(set(re.findall(r"[a-z][\w-]+", listed.stdout.partition(":")[2])))


# They work on /proc, on devices or on whole file systems, or need more space than a test may take.
NOT_IN_A_FOLDER = {"procfs", "sysfs", "binderfs", "loop", "ramfs", "quota", "bind-mount"}


def test_stress_ng_ends_nothing(whole: Mount) -> None:
    tool = needs("stress-ng")
    names = [name for name in stressors() if name not in NOT_IN_A_FOLDER]
    assert len(names) > 30
    found = {}
    for name in names:
        done = call(whole, tool, f"--{name}", "2", "-t", "2", "--temp-path", ".", "--verify", "--oom-avoid")
        if done.returncode not in (0, 3, 4):  # 3: no resources, 4: not implemented here
            found[name] = (done.returncode, done.stdout[-1500:])
        assert (whole / "files/keep").stat().st_size == 4000, name
    assert not found


def test_dbench_runs(whole: Mount) -> None:
    tool = needs("dbench")
    done = call(whole, tool, "-t", "20", "-D", ".", "4")
    assert done.returncode == 0, done.stdout
    assert float(re.findall(r"Throughput ([\d.]+)", done.stdout)[0]) > 0
