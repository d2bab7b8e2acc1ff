"""Other people's torture of file systems, in a folder of a real mount: fio, stress-ng, dbench (T-R1).

They may be refused what docs/filesystem.md refuses; they may not find a byte wrong, end the mount or make it warn.
Debian packages fio, stress-ng and dbench; what is not installed is skipped by name.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

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
    return subprocess.run(
        command, cwd=mount / "files/D", capture_output=True, text=True, timeout=seconds, check=False, errors="replace"
    )


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
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify" not in done.stderr


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
        done = call(
            whole, tool, f"--{name}", "2", "-t", "2", "--temp-path", ".", "--verify", "--oom-avoid", seconds=120
        )
        if done.returncode not in (0, 3, 4):  # 3: no resources, 4: not implemented here
            found[name] = (done.returncode, (done.stdout + done.stderr)[-1500:])
        assert (whole / "files/keep").stat().st_size == 4000, name
    assert not found


def test_dbench_runs(whole: Mount) -> None:
    tool = needs("dbench")
    done = call(whole, tool, "-t", "20", "-D", ".", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert float(re.findall(r"Throughput ([\d.]+)", done.stdout)[0]) > 0
