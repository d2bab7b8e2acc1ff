"""Names of every kind on a real mount (F1): of items, of tags, of attributes. One mount serves all tests."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.conftest import Mount

# All legal for the kernel.
AWKWARD = [
    b"\xff\xfe not UTF-8", b"x" * 255, "é".encode() * 127, b"two\nlines", b"\x1b[31mred\x1b[0m", b"\x7f", b"-rf",
    b"--help", b"-", b" ", b"...", b"....", b"a..b", b"\xe2\x80\xaegpj.exe", "NFC é".encode(), "NFD e\u0301".encode(),
    b"case", b"CASE", b"~", b"~1", b"f~4096", b"f~4096~.txt", b"*", b"?[a]", b"\\", b"'\"`$(x)", b"#", b"%2F", b"a,b",
    b"a,.b", b",", b"a:b", b"10:30", b"x:", b":x", b"+", b"{", b"}", b"@", b"@@", b".tags", b".tagfs", b".hidden",
    b"and", b"CON", b"f.", b".f.", b"\x01", b"\xc2\x9b31m", "日本語".encode(), "👨‍👩‍👧".encode(), b"plain",
]  # fmt: skip
# Below a tag these are operators or something else of ours already.
OPERATORS = {b"-", b"+", b"{", b"@", b"@@", b".tags"}
NEVER_THERE = OPERATORS | {b"}"}


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    mount = Mount(tmp_path_factory.mktemp("names"))
    try:
        mount.start()
        yield mount
    finally:
        mount.close()


@pytest.fixture(scope="module")
def top(one: Mount) -> bytes:
    os.mkdir(one / "tags/plain tag")
    os.mkdir(one / "tags/other")
    return os.fsencode(one.top)


def write(one: Mount, path: bytes, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
    one.settle(Path(os.fsdecode(path)))


def remove(top: bytes, name: bytes) -> None:
    os.unlink(top + b"/files/" + name)
    os.unlink(top + b"/trash/" + name)


def test_every_legal_name_goes_in_and_comes_out(one: Mount, top: bytes) -> None:
    tagged = [name for name in AWKWARD if name not in NEVER_THERE]
    for name in tagged:
        write(one, top + b"/tags/plain tag/" + name, b"content of " + name)
    for name in NEVER_THERE:
        write(one, top + b"/files/" + name, b"content of " + name)
    assert sorted(os.listdir(top + b"/files")) == sorted(AWKWARD)
    assert sorted(os.listdir(top + b"/tags/plain tag")) == sorted(tagged)
    for name in AWKWARD:
        for folder in (b"/files/", b"/tags/plain tag/") if name in tagged else (b"/files/",):
            with open(top + folder + name, "rb") as file:
                assert file.read() == b"content of " + name
            assert os.stat(top + folder + name).st_nlink == (2 if name in tagged else 1)
    for name in tagged:
        os.rename(top + b"/tags/plain tag/" + name, top + b"/tags/other/" + name)
    assert sorted(os.listdir(top + b"/tags/other")) == sorted(tagged)
    assert os.listdir(top + b"/tags/plain tag") == []
    for name in tagged:
        os.unlink(top + b"/tags/other/" + name)
    for name in AWKWARD:
        remove(top, name)
    assert os.listdir(top + b"/files") == os.listdir(top + b"/trash") == []


def test_renaming_from_one_awkward_name_to_the_next(one: Mount, top: bytes) -> None:
    write(one, top + b"/files/start", b"content")
    before = b"start"
    for name in AWKWARD:
        os.rename(top + b"/files/" + before, top + b"/files/" + name)
        assert os.listdir(top + b"/files") == [name]
        with failing(errno.ENOENT):
            os.stat(top + b"/files/" + before)
        before = name
    remove(top, before)


def test_items_named_like_operators_show_their_id_below_a_tag(one: Mount, top: bytes) -> None:
    for name in OPERATORS:
        write(one, top + b"/files/" + name, name)
        os.setxattr(top + b"/files/" + name, "user.xdg.tags", b"other")
    listed = os.listdir(top + b"/tags/other")
    assert len(listed) == len(OPERATORS)
    for shown in listed:
        with open(top + b"/tags/other/" + shown, "rb") as file:
            name = file.read()
        assert shown.startswith(os.path.splitext(name)[0] + b"~")
        assert os.stat(top + b"/tags/other/@/" + name).st_ino == os.stat(top + b"/tags/other/" + shown).st_ino
        remove(top, name)


def test_names_that_are_too_long(one: Mount, top: bytes) -> None:
    long = b"x" * 256
    write(one, top + b"/files/f", b"")
    for attempt in (
        lambda: os.open(top + b"/files/" + long, os.O_CREAT | os.O_WRONLY),
        lambda: os.stat(top + b"/tags/" + long),
        lambda: os.stat(top + b"/tags/other/" + long),
        lambda: os.stat(top + b"/queries/" + long),
        lambda: os.mkdir(top + b"/tags/" + long),
        lambda: os.rename(top + b"/files/f", top + b"/files/" + long),
        lambda: os.link(top + b"/files/f", top + b"/tags/other/" + long),
        lambda: os.symlink("/etc/hosts", top + b"/files/" + long),
        lambda: os.rename(top + b"/tags/other", top + b"/tags/" + long),
    ):
        with failing(errno.ENAMETOOLONG):
            attempt()
    remove(top, b"f")


def test_equal_names_in_one_query(one: Mount, top: bytes) -> None:
    """Case and normal form make other names; of really equal ones the older keeps the name."""
    os.makedirs(top + b"/tags/x")
    os.makedirs(top + b"/tags/y")
    contents = {}
    for folder in (b"x", b"y"):
        for name in ("twin.txt", "Twin.txt", "é", "e\u0301", "no ending"):
            path = top + b"/tags/" + folder + b"/" + name.encode()
            write(one, path, folder + name.encode())
            contents[os.stat(path).st_ino] = folder + name.encode()
    for path in (b"/tags/x/+/y", b"/files", b"/tags/-/other", b"/queries/x or y"):
        listed = os.listdir(top + path)
        assert len(set(listed)) == len(listed) == 10
        assert {b"twin.txt", b"Twin.txt", "é".encode(), "e\u0301".encode(), b"no ending"} <= set(listed)
        for name in listed:
            with open(top + path + b"/" + name, "rb") as file:
                assert file.read() == contents[os.fstat(file.fileno()).st_ino]
    for name in sorted(os.listdir(top + b"/files"), key=len, reverse=True):
        os.unlink(top + b"/files/" + name)
    for name in sorted(os.listdir(top + b"/trash"), key=len, reverse=True):
        os.unlink(top + b"/trash/" + name)
    assert os.listdir(top + b"/trash") == []


GOOD_TAGS = [
    "x" * 255, "é" * 127, " ", "a b", "\u202egpj", "日本語", "👨‍👩‍👧", "case", "CASE", "a..b", "a~b", "a-b", "c++", "*",
    "\\", "'\"", "#", "%2F", "key:value", "key:a:b", "key: ", "eq", "has", "and", "tags", "x" * 127 + ":" + "y" * 127,
]  # fmt: skip
BAD_TAGS = [
    b"\xff", b"a\xff", b"two\nlines", b"\x1b", b"\x7f", b"\xc2\x9b", b"-x", b"+x", b"{x", b"}x", b"@x", b"~x", b"...",
    b".x", b"a,b", b"x:", b":x", b"state:paused", b"type:x", b"is:untagged", b"name:x", b"key:..",
]  # fmt: skip


def test_good_tag_names_by_every_way_in(one: Mount, top: bytes) -> None:
    write(one, top + b"/files/f", b"content")
    for tag in GOOD_TAGS:
        if tag == tag.strip():  # a list of tags is written with spaces around
            os.setxattr(top + b"/files/f", "user.xdg.tags", tag.encode())
        else:
            os.mkdir(top + b"/tags/" + tag.encode())
            os.link(top + b"/files/f", top + b"/tags/" + tag.encode() + b"/f")
        assert os.getxattr(top + b"/files/f", "user.xdg.tags") == tag.encode()
        assert os.listdir(top + b"/tags/" + tag.encode()) == [b"f"]
        with open(top + b"/tags/" + tag.encode() + b"/f", "rb") as file:
            assert file.read() == b"content"
        os.unlink(top + b"/tags/" + tag.encode() + b"/f")
        os.rmdir(top + b"/tags/" + tag.encode())
        with failing(errno.ENOENT):
            os.stat(top + b"/tags/" + tag.encode())
        os.mkdir(top + b"/tags/" + tag.encode())
        os.rmdir(top + b"/tags/" + tag.encode())
    remove(top, b"f")


def test_bad_tag_names_by_every_way_in(one: Mount, top: bytes) -> None:
    write(one, top + b"/files/f", b"content")
    before = os.listdir(top + b"/tags")
    for tag in BAD_TAGS:
        with pytest.raises(OSError, check=lambda error: error.errno in (errno.EINVAL, errno.EEXIST)):
            os.mkdir(top + b"/tags/" + tag)
        with pytest.raises(OSError, check=lambda error: error.errno in (errno.EINVAL, errno.ENOTEMPTY, errno.EEXIST)):
            os.rename(top + b"/tags/other", top + b"/tags/" + tag)
        if tag[:1] not in b"+-" and b"," not in tag:
            with failing(errno.EINVAL):
                os.setxattr(top + b"/files/f", "user.xdg.tags", b"other," + tag)
        with failing(errno.EINVAL):
            os.setxattr(top + b"/files/f", b"user.tag." + tag, b"")
    assert os.listdir(top + b"/tags") == before
    assert "user.xdg.tags" not in os.listxattr(top + b"/files/f")
    remove(top, b"f")


def test_twins_of_a_tag(one: Mount, top: bytes) -> None:
    """Two normal forms are one tag, two cases are two."""
    nfc, nfd = "café".encode(), "cafe\u0301".encode()
    os.mkdir(top + b"/tags/" + nfd)
    with failing(errno.EEXIST):
        os.mkdir(top + b"/tags/" + nfc)
    with failing(errno.EEXIST):
        os.mkdir(top + b"/tags/" + nfd)
    assert [name for name in os.listdir(top + b"/tags") if name.startswith(b"caf")] == [nfc]
    assert os.stat(top + b"/tags/" + nfc).st_ino == os.stat(top + b"/tags/" + nfd).st_ino
    os.rename(top + b"/tags/" + nfd, top + b"/tags/" + nfd + b"2")
    for gone in (nfc, nfd):  # decision 3: the other spelling is forgotten just after
        one.wait_for(lambda gone=gone: not os.path.exists(top + b"/tags/" + gone))
    os.rmdir(top + b"/tags/" + nfd + b"2")
    one.wait_for(lambda: not os.path.exists(top + b"/tags/" + nfc + b"2"))
    os.mkdir(top + b"/tags/word")
    os.mkdir(top + b"/tags/Word")
    write(one, top + b"/tags/word/f", b"")
    assert os.listdir(top + b"/tags/Word") == []
    remove(top, b"f")


def test_attribute_names(one: Mount, top: bytes) -> None:
    write(one, top + b"/files/f", b"")
    names = [b"user." + name for name in (*(n[:250] for n in AWKWARD), b"n" * 250)]
    for number, name in enumerate(names):
        os.setxattr(top + b"/files/f", name, b"%d" % number)
    listed = {os.fsencode(name) for name in os.listxattr(top + b"/files/f")}
    assert set(names) <= listed
    for name, number in {name: number for number, name in enumerate(names)}.items():  # the last one where cut alike
        assert os.getxattr(top + b"/files/f", name) == b"%d" % number
    for name in set(names):
        os.removexattr(top + b"/files/f", name)
    assert not set(names) & {os.fsencode(name) for name in os.listxattr(top + b"/files/f")}
    with failing(errno.ERANGE):
        os.setxattr(top + b"/files/f", b"user." + b"n" * 251, b"")
    with pytest.raises(OSError, check=lambda error: error.errno in (errno.EINVAL, errno.EOPNOTSUPP)):
        os.setxattr(top + b"/files/f", b"user.", b"")
    remove(top, b"f")


def test_errors_are_fit_for_a_terminal(one: Mount, top: bytes) -> None:
    """I6: after all these names, `cat` of the errors obeys none of them."""
    with failing(errno.EINVAL):
        os.mkdir(top + b"/tags/\x1b[31m")
    text = (one / ".tagfs/errors").read_text()
    assert text
    assert all(line.isprintable() for line in text.splitlines())


def test_the_command_line_finds_awkward_names_too(one: Mount, top: bytes) -> None:
    name = b"\xff\x1b[31m\nx"
    write(one, top + b"/files/" + name, b"content")
    number = os.stat(top + b"/files/" + name).st_ino
    shown = one.tagfs("ls")
    assert "\x1b" not in shown
    one.tagfs("tag", f"id:{number}", "-t", "other")
    assert os.listdir(top + b"/tags/other") == [name]
    remove(top, name)
