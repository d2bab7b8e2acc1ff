"""Bar 6: programs that read as players and archivers do are done long before the file that they look at is here.

The film's index is at its end, as ffmpeg writes it by default, so that a reader must jump before it can begin.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.nginx import nginx
from tests.support.swarm import peer
from tests.support.torrents import make_torrent
from tests.support.tracker import tracker

MIB = 1 << 20
SECONDS = 100  # of film: some 40 MB
HOLE = (
    400 * MIB
)  # before the index, of a file on disk: nobody reads it, and on a busy machine it does not arrive either
RATE = "1m"  # bytes a second of each connection, so that the whole takes many times as long as a look at it
TORRENT_RATE = MIB  # bytes a second of the seeder
PIECE = 1 << 20

Arriving = Callable[[Path], Path]  # from a file elsewhere to the one in the mount, of which nearly nothing is here


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("film") / "film.mp4"
    source = ["-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=24:duration={SECONDS}"]
    run(["ffmpeg", "-v", "error", *source, "-c:v", "mpeg4", "-q:v", "1", "-g", "24", str(file)])
    assert file.stat().st_size > 30 * MIB
    put_hole_before_index(file)
    return file


def put_hole_before_index(file: Path) -> None:
    """In a box that players skip (ISO 14496-12, 8.1.2)."""
    with file.open("r+b") as film:
        at, size, kind = 0, 0, b""
        while kind != b"moov":
            film.seek(at := at + size)
            size, kind = struct.unpack(">I4s", film.read(8))
        film.seek(at)
        index = film.read()
        film.seek(at)
        film.write(struct.pack(">I4s", HOLE, b"free"))
        film.seek(at + HOLE)
        film.write(index)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("archive") / "photos.zip"
    chance = random.Random(1)
    with zipfile.ZipFile(file, "w") as made:
        for number in range(40):
            made.writestr(f"photo-{number:02}.jpg", chance.randbytes(MIB))
        made.start_dir += HOLE
    return file


@pytest.fixture
def mount(new_mount: Callable[..., Mount]) -> Mount:
    fresh: Mount = new_mount()
    # One main connection: the others of a long look on a busy machine would bring a good part of the whole.
    torrent = '[torrent]\nlisten = "127.0.0.1:0"\ndht = false\nprivate_addresses = true\n'
    fresh.config.write_text(f"[transfer]\nsplit = 1\n{torrent}")
    fresh.start()
    return fresh


@pytest.fixture
def over_http(mount: Mount, tmp_path: Path) -> Iterator[Arriving]:
    served = tmp_path / "served"
    served.mkdir()
    with nginx(tmp_path / "nginx", served, limit_rate=RATE) as server:

        def link(file: Path) -> Path:
            (served / file.name).hardlink_to(file)
            mount.sh(f"ln -s {server.url(file.name)} files/")
            return mount / "files" / file.name  # opened at once: before the server has said how large it is

        yield link


@pytest.fixture
def over_bittorrent(mount: Mount, tmp_path: Path) -> Iterator[Arriving]:
    with peer() as seeds, tracker() as announces:
        announces.introduce(seeds.address)

        def add(file: Path) -> Path:
            (tmp_path / file.name).hardlink_to(file)
            torrent = make_torrent(tmp_path / file.name, piece_size=PIECE, trackers=[announces.url])
            seeds.seed(torrent, tmp_path, limit=TORRENT_RATE)
            mount.tagfs("add", str(torrent.save(tmp_path / "it.torrent")))
            return mount / "files" / file.name

        yield add


@pytest.fixture(params=["http", "bittorrent"])
def arriving(request: pytest.FixtureRequest) -> Arriving:
    link: Arriving = request.getfixturevalue(f"over_{request.param}")
    return link


def test_ffprobe(arriving: Arriving, film: Path) -> None:
    seen = arriving(film)
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(seen)]
    assert float(run(command)) == SECONDS
    assert_hardly_here(seen, film)


def test_ffmpeg_from_the_middle(arriving: Arriving, film: Path) -> None:
    seen = arriving(film)
    assert frames_in_the_middle(seen) == frames_in_the_middle(film)
    assert_hardly_here(seen, film)


def test_unzip_list(mount: Mount, arriving: Arriving, archive: Path) -> None:
    seen = arriving(archive)
    mount.wait_for(lambda: seen.stat().st_size > 0)  # unzip believes a stat before it opens, and no stat waits
    assert run(["unzip", "-l", str(seen)]).splitlines()[1:] == run(["unzip", "-l", str(archive)]).splitlines()[1:]
    assert_hardly_here(seen, archive)


def frames_in_the_middle(file: Path) -> str:
    """Digests of the decoded pictures of one second."""
    middle = str(SECONDS / 2)
    listed = run(["ffmpeg", "-v", "error", "-ss", middle, "-i", str(file), "-t", "1", "-f", "framemd5", "-"])
    frames = [line for line in listed.splitlines() if not line.startswith("#")]
    assert len(frames) == 24
    return "\n".join(frames)


def assert_hardly_here(seen: Path, whole: Path) -> None:
    """Less than a quarter, by both ways to ask."""
    size = whole.stat().st_size
    assert float(os.getxattr(seen, "user.tagfs.progress")) < 0.25
    shown = seen.stat()
    assert shown.st_size == size
    assert shown.st_blocks * 512 < size / 4


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), command
    return done.stdout
