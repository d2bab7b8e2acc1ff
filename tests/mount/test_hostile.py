"""What careless and hostile programs do to a mount: races, limits, deep paths, odd reads (F2, F3, F9, F10, F12).

One mount serves all tests; each leaves it as it found it, alive.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import mmap
import os
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mount.conftest import Mount


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    mount = Mount(tmp_path_factory.mktemp("hostile"))
    try:
        mount.start()
        for tag in ("a", "b", "c"):
            (mount / f"tags/{tag}").mkdir()
        yield mount
        assert mount.names("tags") == ["a", "b", "c"]
    finally:
        mount.close()


@pytest.fixture
def file(one: Mount) -> Iterator[Path]:
    """A whole item of 10,000 bytes, tagged a."""
    path = one.put("tags/a/f", bytes(range(250)) * 40)
    yield one / "files/f"
    os.unlink(one / "files/f")
    os.unlink(one / "trash/f")
    assert not path.exists()


def together(count: int, work: Callable[[int], None]) -> None:
    """In as many threads, begun at one moment; what one of them raises is raised here."""
    barrier, errors = threading.Barrier(count), []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


# -- attributes (F2, F3) -----------------------------------------------------------------------------------------------


def test_one_of_64_creates_an_attribute(file: Path) -> None:
    winners: list[int] = []

    def create(number: int) -> None:
        try:
            os.setxattr(file, "user.race", b"%d" % number, os.XATTR_CREATE)
        except FileExistsError:
            return
        winners.append(number)

    together(64, create)
    assert len(winners) == 1
    assert os.getxattr(file, "user.race") == b"%d" % winners[0]
    os.removexattr(file, "user.race")


def test_one_of_64_processes_creates_an_attribute(file: Path) -> None:
    script = (
        "import os, sys; sys.stdin.read(1)\n"
        "try: os.setxattr(sys.argv[1], 'user.race', b'', os.XATTR_CREATE)\n"
        "except FileExistsError: sys.exit(3)"
    )
    racers = [
        subprocess.Popen([sys.executable, "-IS", "-c", script, str(file)], stdin=subprocess.PIPE) for _ in range(16)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"x")
        racer.stdin.close()
    assert sorted(racer.wait(60) for racer in racers) == [0] + [3] * 15
    os.removexattr(file, "user.race")


def test_64_tag_one_file_and_none_is_lost(one: Mount, file: Path) -> None:
    together(64, lambda number: os.setxattr(file, f"user.tag.t{number}", b""))
    own = os.getxattr(file, "user.xdg.tags").decode().split(",")
    assert set(own) == {"a", *(f"t{number}" for number in range(64))}
    together(64, lambda number: os.unlink(one / f"tags/t{number}/f"))
    assert os.getxattr(file, "user.xdg.tags") == b"a"
    for number in range(64):
        os.rmdir(one / f"tags/t{number}")


def test_sizes_of_attributes(file: Path) -> None:
    for size in (0, 1, 4096, 65536):
        os.setxattr(file, "user.x", b"v" * size)
        assert os.getxattr(file, "user.x") == b"v" * size
    with failing(errno.E2BIG):
        os.setxattr(file, "user.x", b"v" * 65537)
    for number in range(290):
        os.setxattr(file, f"user.{number:03}{'n' * 240}", b"")
    with failing(errno.E2BIG):
        os.listxattr(file)
    for number in range(290):
        os.removexattr(file, f"user.{number:03}{'n' * 240}")
    assert "user.x" in os.listxattr(file)


def test_two_thousand_tags_on_one_file(one: Mount, file: Path) -> None:
    tags = [f"many-{number:04}" for number in range(2000)]
    os.setxattr(file, "user.xdg.tags", ",".join(["a", *tags]).encode())
    assert os.getxattr(file, "user.xdg.tags").decode().split(",") == ["a", *tags]
    assert file.stat().st_nlink == 2002
    assert len(one.names("tags")) == 2003
    assert one.names("tags/many-0000/many-1999/-/b") == ["f"]
    assert all(os.path.exists(one / f"tags/{tag}/f") for tag in tags)
    os.setxattr(file, "user.xdg.tags", b"a")
    assert not any(os.path.exists(one / f"tags/{tag}/f") for tag in tags)
    one.tagfs("tags", "--delete", *tags)
    assert one.names("tags") == ["a", "b", "c"]
    assert not any(os.path.exists(one / f"tags/{tag}") for tag in tags)


def test_times_beyond_what_is_kept(file: Path) -> None:
    """The nearest that can be kept, as elsewhere; never an error."""
    for seconds in (-(2**40), -1, 0, 2**31, 2**33, 2**40):
        os.utime(file, (0, seconds))
        kept = min(max(seconds, -(2**63) // 10**9), (2**63 - 1) // 10**9)
        assert file.stat().st_mtime_ns // 10**9 == kept


# -- listings (F9) -----------------------------------------------------------------------------------------------------


class Entry(ctypes.Structure):
    _fields_ = (
        ("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_uint16), ("type", ctypes.c_uint8),
        ("name", ctypes.c_char * 256),
    )  # fmt: skip


libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Entry)
libc.readdir.argtypes = libc.closedir.argtypes = libc.rewinddir.argtypes = libc.telldir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]


@pytest.fixture
def crowd(one: Mount) -> Iterator[list[str]]:
    """300 items tagged b, of which the first 200 are left in peace."""
    names = [f"item-{number:03}" for number in range(300)]
    for name in names:
        (one / f"tags/b/{name}").touch()
    for name in names:
        one.settle(one / f"files/{name}")
    yield names
    one.sh("rm files/item-* && rm trash/item-*")


def test_readdir_while_tags_change(one: Mount, crowd: list[str]) -> None:
    stable, restless = set(crowd[:200]), crowd[200:]
    ended = threading.Event()

    def churn(number: int) -> None:
        mine = restless[number::2]
        while not ended.is_set():
            for name in mine:
                os.setxattr(one / f"files/{name}", "user.xdg.tags", b"c")
                os.setxattr(one / f"files/{name}", "user.xdg.tags", b"b")

    def look(number: int) -> None:
        try:
            for path in ("tags/b", "tags/b/+/c", "tags/-/a", "files", "queries/b or c") * 6:
                listed = os.listdir(one / path)
                assert len(set(listed)) == len(listed), path
                assert stable <= set(listed), path
        finally:
            ended.set()

    together(3, lambda number: look(number) if number == 2 else churn(number))
    for name in restless:
        os.setxattr(one / f"files/{name}", "user.xdg.tags", b"b")
    assert one.names("tags/b") == crowd


def test_listing_again(one: Mount, crowd: list[str]) -> None:
    """The kernel is not given again what it has, in more than one answer."""

    def seen(path: str) -> list[tuple[str, int, bool, int]]:
        with os.scandir(one / path) as found:
            return [(entry.name, entry.inode(), entry.is_file(), entry.stat().st_nlink) for entry in found]

    first = seen("tags/b")
    assert [name for name, *_ in first] == crowd
    assert seen("tags/b") == first
    assert [os.stat(one / f"tags/b/{name}").st_ino for name in crowd] == [number for _, number, *_ in first]
    assert seen("tags/b/b") == first  # another directory, which knows none of them yet
    os.setxattr(one / f"files/{crowd[0]}", "user.xdg.tags", b"b,c")
    changed = seen("tags/b")
    assert changed[1:] == first[1:]
    assert changed[0] == (crowd[0], first[0][1], True, 3)
    assert seen("tags/b") == changed


def test_telldir_and_seekdir(one: Mount, crowd: list[str]) -> None:
    """Positions stay good while others tag, until a rewind."""
    directory = libc.opendir(os.fsencode(one / "tags/b"))
    places: list[tuple[int, bytes]] = []
    while True:
        place = libc.telldir(directory)
        entry = libc.readdir(directory)
        if not entry:
            break
        places.append((place, bytes(entry.contents.name)))
    assert [name.decode() for _, name in places] == crowd
    os.setxattr(one / f"files/{crowd[0]}", "user.xdg.tags", b"-b,+c")
    random.Random(2026).shuffle(places)
    for place, name in places:
        if place == 0:
            continue  # the beginning, which is also a rewind
        libc.seekdir(directory, place)
        assert bytes(libc.readdir(directory).contents.name) == name
    libc.rewinddir(directory)
    assert bytes(libc.readdir(directory).contents.name) == crowd[1].encode()
    libc.closedir(directory)


# -- paths (F10) -------------------------------------------------------------------------------------------------------


def test_deep_paths(one: Mount, file: Path) -> None:
    for depth in (64, 255):
        assert os.listdir(one / "tags" / "/".join(["a"] * depth)) == ["f"]
    for path, number in (
        ("a/" * 256, errno.ENAMETOOLONG),
        ("a/" * 2000, errno.ENAMETOOLONG),
        ("a/+/" * 127 + "a", None),
        ("a/+/" * 128, errno.ENAMETOOLONG),
        ("x/" * 64, errno.ENOENT),
        ("-/" * 64, errno.EINVAL),
        ("{/" * 64, errno.EINVAL),
        ("a/@/@", errno.ENOENT),
        ("year:" * 40, errno.ENOENT),
    ):
        if number is None:
            os.stat(one / "tags" / path)
        else:
            with failing(number):
                os.stat(one / "tags" / path)
    with failing(errno.ENAMETOOLONG):
        os.stat(str(one / "tags") + "/" + "a/" * 2100)  # past PATH_MAX: the kernel's own
    assert one.names("tags/a") == ["f"]


def test_5000_operators_by_openat(one: Mount, file: Path) -> None:
    """No PATH_MAX holds a program back that opens one component after the other."""
    for components in (["a", "+"], ["-"], ["a", "-"], ["{", "a", "b", "}"], ["year:"], ["a", "@"], ["a,b"]):
        folder = os.open(one / "tags", os.O_RDONLY | os.O_DIRECTORY)
        number = None
        for step in range(5000):
            try:
                below = os.open(components[step % len(components)], os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
            except OSError as error:
                number = error.errno
                break
            os.close(folder)
            folder = below
        os.close(folder)
        assert number in (errno.ENAMETOOLONG, errno.EINVAL, errno.ENOENT), components
    assert one.names("tags/a") == ["f"]


def test_random_bytes(one: Mount, file: Path) -> None:
    source = random.Random(2026)
    alphabets = [bytes(range(1, 256)), b"a+-{}@,:.~ \xff", b"ab:/2019.", b"()andornt <>=:a\"'\\"]
    before = sorted(os.listdir(one / "files"))
    folders = [os.fsencode(one / path) for path in ("tags", "tags/a", "tags/a/+", "queries", "files", "blobs", "trash")]
    for _ in range(1500):
        alphabet, folder = source.choice(alphabets), source.choice(folders)
        name = bytes(source.choice(alphabet) for _ in range(source.randint(1, 40)))
        try:
            os.listdir(folder + b"/" + name)
        except OSError as error:
            assert error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOTDIR, errno.ENAMETOOLONG), name
    assert sorted(os.listdir(one / "files")) == before
    assert one.names("tags/a") == ["f"]


def test_long_expressions(one: Mount, file: Path) -> None:
    for expression, number in (
        ("(" * 255, errno.ENAMETOOLONG),
        ("not " * 63 + "a", None),
        ("a or " * 50 + "a", None),
        ("(a", errno.EINVAL),
    ):
        if number is None:
            os.listdir(one / "queries" / expression)
        else:
            with pytest.raises(OSError, check=lambda error, number=number: error.errno in (number, errno.EINVAL)):
                os.listdir(one / "queries" / expression)


# -- content (F12) -----------------------------------------------------------------------------------------------------


def reads(size: int) -> list[tuple[int, int]]:
    """(offset, length) at all edges."""
    edges = (0, 1, 4095, 4096, size - 1, size, size + 1, size + 4096)
    return [(offset, length) for offset in edges if offset >= 0 for length in (0, 1, 2, 4096, size, size * 2)]


def test_reads_at_every_edge(one: Mount, file: Path) -> None:
    content = file.read_bytes()
    draft = one / "files/draft"
    with draft.open("xb") as writer:
        writer.write(content)
        writer.flush()
        for path in (file, draft, one / "blobs" / hashlib.sha256(content).hexdigest()):
            for flags in (0, os.O_DIRECT):
                descriptor = os.open(path, os.O_RDONLY | flags)
                for offset, length in reads(len(content)):
                    buffer = mmap.mmap(-1, max(length, 4096))
                    count = os.preadv(descriptor, [memoryview(buffer)[:length]], offset) if length else 0
                    assert buffer[:count] == content[offset : offset + length], (path, offset, length)
                os.close(descriptor)
    one.settle(draft)
    os.unlink(draft)
    os.unlink(one / "trash/draft")


def test_10000_opens_leak_nothing(one: Mount, file: Path) -> None:
    assert one.process is not None
    descriptors = Path(f"/proc/{one.process.pid}/fd")
    draft = open(one / "files/draft", "xb")  # noqa: SIM115 - open while others open it
    targets = [
        str(path) for path in (file, one / "tags/a/f", one / "files/draft", one / ".tagfs/status", one / "tags/a")
    ]
    for path in targets:
        os.close(os.open(path, os.O_RDONLY))
    before = len(os.listdir(descriptors))

    def open_often(number: int) -> None:
        for count in range(2500):
            os.close(os.open(targets[(count + number) % len(targets)], os.O_RDONLY))

    together(4, open_often)
    one.wait_for(lambda: len(os.listdir(descriptors)) <= before)  # close(2) does not wait for the release
    draft.close()
    one.settle(one / "files/draft")
    os.unlink(one / "files/draft")
    os.unlink(one / "trash/draft")


def test_with_few_descriptors(one: Mount) -> None:
    """C14: whoever comes too late is told so; whoever was in time is stored, although the daemon had none to spare."""
    assert one.process is not None
    limits = resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE, (60, limits[1]))
    opened: list[int] = []
    with failing(errno.EMFILE):
        opened.extend(os.open(one / f"files/few-{number}", os.O_CREAT | os.O_WRONLY) for number in range(100))
    assert len(one.names("files")) == len(opened)  # none of those that were refused
    for descriptor in opened:
        os.write(descriptor, b"content")
        os.close(descriptor)
    one.wait_for(lambda: len(one.names("tags/state:complete")) == len(opened))
    resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE, limits)
    one.sh("rm files/few-* && rm trash/few-*")


def test_two_processes_write_one_file(one: Mount) -> None:
    path = one / "files/shared"
    script = (
        "import os, sys; fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); n = int(sys.argv[2]); sys.stdin.read(1)\n"
        "for i in range(100): os.pwrite(fd, bytes([n]) * 1000, (2 * i + n) * 1000)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-IS", "-c", script, str(path), str(number)], stdin=subprocess.PIPE)
        for number in range(2)
    ]
    one.wait_for(path.exists)
    with path.open("rb"):
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"x")
            writer.stdin.close()
        assert [writer.wait(60) for writer in writers] == [0, 0]
    one.settle(path)
    assert path.read_bytes() == (b"\0" * 1000 + b"\1" * 1000) * 100
    os.unlink(path)
    os.unlink(one / "trash/shared")


def test_writing_a_new_file_through_a_mapping(one: Mount) -> None:
    path = one / "files/mapped"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(descriptor, 3 * 4096 + 5)
    with mmap.mmap(descriptor, 3 * 4096 + 5) as mapped:
        os.close(descriptor)
        mapped[0:5] = b"first"
        mapped[4096 * 2 : 4096 * 2 + 5] = b"third"
        mapped[-5:] = b"the e"
    one.settle(path)
    expected = b"first".ljust(8192, b"\0") + b"third".ljust(4096, b"\0") + b"the e"
    assert path.read_bytes() == expected
    os.unlink(path)
    os.unlink(one / "trash/mapped")


def test_opening_a_draft_again(one: Mount) -> None:
    path = one / "files/again"
    with path.open("xb", buffering=0) as first:
        first.write(b"0123456789")
        with open(os.open(path, os.O_RDWR | os.O_TRUNC), "r+b", buffering=0) as second:
            assert first.seek(0, os.SEEK_END) == 0
            second.write(b"abc")
        with open(os.open(path, os.O_WRONLY | os.O_APPEND), "ab", buffering=0) as third:
            third.write(b"def")
        os.truncate(path, 5)
        assert path.stat().st_size == 5
        assert path.read_bytes() == b"abcde"
    one.settle(path)
    assert path.read_bytes() == b"abcde"
    os.unlink(path)
    os.unlink(one / "trash/again")


def test_what_is_removed_while_it_is_open_can_be_read_to_its_end(one: Mount) -> None:
    content = os.urandom(300_000)
    path = one.put("files/going", content)
    with path.open("rb", buffering=0) as reader:
        assert reader.read(1000) == content[:1000]
        os.unlink(path)
        assert reader.read(1000) == content[1000:2000]
        os.unlink(one / "trash/going")
        assert b"".join(iter(lambda: reader.read(65536), b"")) == content[2000:]


def test_what_is_removed_while_it_is_written_goes_quietly(one: Mount) -> None:
    with (one / "files/going").open("xb", buffering=0) as writer:
        writer.write(b"x" * 1000)
        os.rename(one / "files/going", one / "files/gone")
        os.unlink(one / "files/gone")
        writer.write(b"y" * 1000)
        os.unlink(one / "trash/gone")
        writer.write(b"z" * 1000)
        assert (os.fstat(writer.fileno()).st_size, os.fstat(writer.fileno()).st_nlink) == (3000, 0)
    assert not {"going", "gone"} & {*one.names("files"), *one.names("trash")}  # other tests share this mount


def test_a_shell_in_an_unfinished_query(one: Mount, file: Path) -> None:
    said = one.sh("cd tags/a/+ && ls && cd b && ls && cd ../../- && cd b && ls && pwd").split()
    assert said == ["a", "b", "c", "f", "f", str(one.top / "tags/a/-/b")]


def test_rm_rf_of_a_tag_whose_negation_somebody_looks_at(one: Mount, file: Path) -> None:
    (one / "tags/gone").mkdir()
    os.setxattr(file, "user.xdg.tags", b"a,gone")
    for path in (
        "tags/a/-/gone",
        "tags/a/-gone",
        "tags/gone/-/b",
        "tags/a/+/gone",
        "queries/a and not gone",
        "tags/a,gone",
    ):
        os.listdir(one / path)
    late = one.log.read_text().count("the kernel is busy")
    folder = os.open(one / "tags/a/-/gone", os.O_RDONLY)
    one.sh("rm -rf tags/gone")
    assert os.getxattr(file, "user.xdg.tags") == b"a"
    assert file.read_bytes()
    for path in (
        "tags/gone",
        "tags/a/-/gone",
        "tags/a/-gone",
        "tags/a/+/gone",
        "queries/a and not gone",
        "tags/a,gone",
    ):
        with failing(errno.ENOENT):
            os.stat(one / path)
    assert one.log.read_text().count("the kernel is busy") == late  # rmdir(2) holds the directory that it removes, too
    os.listdir(folder)  # whoever is in it finds it as it is, without a hang
    os.close(folder)
