"""A torrent of 100,000 files: taken, listed, and let go of, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.torrents import bencode

COUNT = 100_000
MEMORY = 600 << 20  # bytes that the daemon may have at most, at any time


def peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


@pytest.mark.long
def test_a_torrent_of_100000_files(new_mount: Callable[..., Mount], tmp_path: Path) -> None:
    files = [{"length": 16384, "path": [f"{number // 1000 % 50:02}", f"{number:06}"]} for number in range(COUNT // 2)]
    files += [{"length": 16384, "path": [f"{number:06}"]} for number in range(COUNT // 2)]
    pieces = os.urandom(20 * -(-COUNT * 16384 // (1 << 20)))
    info = {"name": "many", "piece length": 1 << 20, "files": files, "pieces": pieces}
    torrent = tmp_path / "many.torrent"
    torrent.write_bytes(bencode({"info": info}))
    mount = new_mount()
    mount.config.write_text('[torrent]\nlisten = "127.0.0.1:0"\noutgoing = "127.0.0.1"\ndht = false\n')
    mount.start()
    mount.tagfs("add", "--paused", "-t", "movie", str(torrent))
    folder = mount / "tags/movie/many"
    mount.wait_for(folder.is_dir, 120)
    expected = {f"{number:06}" for number in range(COUNT // 2)} | {f"{number:02}" for number in range(50)}
    found = os.listdir(folder)
    assert len(found) == len(expected) and set(found) == expected
    below = [name for number in range(50) for name in os.listdir(folder / f"{number:02}")]
    assert len(below) == len(set(below)) == COUNT // 2
    assert os.getxattr(folder / "049999", "user.tagfs.state") == b"queued"
    assert peak(mount.process.pid) < MEMORY
    mount.tagfs("rm", str(folder))
    assert not folder.exists()
    assert mount.stop() == 0
