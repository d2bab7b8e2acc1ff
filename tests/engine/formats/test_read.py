"""Link files and lists of all kinds, found out by content and name."""

from __future__ import annotations

import plistlib
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.formats.aria2_input import parse_aria2_input
from engine.formats.read import MAX_BYTES, read
from engine.formats.sniff import EXTENSIONS, Format, sniff
from engine.formats.wanted import MAX_FAULTS, Reading, Wanted

URL = "https://example.org/f.iso"
MAGNET = "magnet:?xt=urn:btih:c9e15763f722f23e98a29decdfae341b98d53056"
TORRENT = b"d8:announce10:udp://t:804:infod6:lengthi1e4:name1:aee"
ONE = Reading((Wanted((URL,)),))
SHORTCUT = f"[{{000214A0}}]\r\nProp3=19,2\r\n[InternetShortcut]\r\nIDList=\r\nURL={URL}\r\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.url", SHORTCUT.encode()),
        ("a.url", SHORTCUT.encode("utf-16")),
        ("a.url", b"\xef\xbb\xbf" + SHORTCUT.encode()),
        ("a.url", SHORTCUT.replace("IDList=", "IDList=\xe9").encode("cp1252")),
        ("a.URL", f"[internetshortcut]\nurl = {URL}\n".encode()),
        ("a.webloc", plistlib.dumps({"URL": URL})),
        ("a.webloc", plistlib.dumps({"URL": URL}, fmt=plistlib.FMT_BINARY)),
        ("a.desktop", f"[Desktop Entry]\nType=Link\nName=x\nURL={URL}\n[Other]\nURL=http://no/\n".encode()),
        ("a.txt", f"# my links\n\n  {URL} the best of them\n{URL}\n".encode()),
        ("a.txt", f"{URL}\n".encode("utf-16")),
        ("no extension", f"{URL}".encode()),
    ],
    ids=range(11),
)
def test_a_link_in_any_kind_of_file(name: str, content: bytes) -> None:
    assert read(name, content) == ONE
    assert read("whatever", content) == ONE


def test_a_magnet_and_a_torrent() -> None:
    assert read("a.magnet", f"# from a friend\n {MAGNET}\n".encode()) == Reading((Wanted((MAGNET,)),))
    assert read("a.txt", f"{MAGNET}\n{URL}".encode()) == Reading((Wanted((MAGNET,)), Wanted((URL,))))
    assert read("a.torrent", TORRENT) == read("misnamed.txt", TORRENT) == Reading((Wanted(torrent=TORRENT),))


def test_a_list_names_its_bad_lines_and_keeps_the_good_ones() -> None:
    found = read("a.txt", f"{URL}\nsome words\n\nfile:///etc/passwd\nhttp://h/2".encode())
    assert [wanted.urls for wanted in found.wanted] == [(URL,), ("http://h/2",)]
    assert [fault.partition(" does")[0].partition(":")[0] for fault in found.faults] == ["Line 2", "Line 4"]


def test_a_url_that_no_server_would_take_is_a_fault() -> None:
    assert not read("a.txt", URL.encode() + b"x" * 20_000).wanted


def test_a_thousand_bad_lines_are_not_a_thousand_sentences() -> None:
    found = read("a.txt", b"nothing\n" * 1000)
    assert len(found.faults) == MAX_FAULTS + 1
    assert found.faults[-1] == f"There are {1000 - MAX_FAULTS} more like these."


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", b"%PDF-1.4"),
        ("a", b""),
        ("a.txt", b""),
        ("a.txt", b"# nothing\n"),
        ("a.torrent", b"x"),
        ("a.torrent", b"d1:ae"),
        ("a.url", b"URL=http://h/"),
        ("a.url", b"[InternetShortcut]\n"),
        ("a.url", b"[InternetShortcut]\nURL=file:///etc/passwd"),
        ("a.webloc", b"bplist00"),
        ("a.webloc", plistlib.dumps({"URL": 1})),
        ("a.webloc", plistlib.dumps([1])),
        ("a.webloc", b"x"),
        ("a.desktop", f"[Desktop Entry]\nType=Application\nURL={URL}".encode()),
        ("a.desktop", b"[Desktop Entry]\nType=Link\n"),
        ("a.magnet", f"{MAGNET}\n{MAGNET}".encode()),
        ("a.magnet", b"http://h/"),
        ("a.magnet", b"\n"),
        ("a.metalink", b"<html/>"),
        ("a.url", b"[InternetShortcut]\n" + b"\n" * (300 << 10)),
        ("a.txt", b"\n" * 300_000),
        ("a.txt", b"x" * (MAX_BYTES + 1)),
    ],
    ids=range(22),
)
def test_what_is_none_is_refused_with_one_sentence(name: str, content: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        read(name, content)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_aria2_input_files() -> None:
    text = f"""# a list
{URL}\thttps://mirror.example/f.iso
  out=debian.iso
  checksum=sha-256={"AB" * 32}
  header=Cookie: a=b; c
  header = X-Two:2
  referer=https://example.org/page
\tuser-agent=me
  http-user=ü
  http-passwd=p:w
  pause=true
  split=16
{MAGNET}
 select-file=1-3, 7
http://h/3"""
    assert (
        parse_aria2_input(text.encode())
        == read("list.txt", text.encode())
        == Reading(
            (
                Wanted(
                    (URL, "https://mirror.example/f.iso"),
                    name="debian.iso",
                    digests={"sha256": "ab" * 32},
                    paused=True,
                    options={
                        "header.Cookie": "a=b; c",
                        "header.X-Two": "2",
                        "header.Referer": "https://example.org/page",
                        "header.User-Agent": "me",
                        "header.Authorization": "Basic w7w6cDp3",
                        "split": "16",
                    },
                ),
                Wanted((MAGNET,), select="1-3,7"),
                Wanted(("http://h/3",)),
            )
        )
    )


def test_a_login_for_ftp_goes_into_its_urls() -> None:
    text = "ftp://h/x\tftp://me@h/x\thttp://h/x\n ftp-user=a@b\n ftp-passwd=c/d\nftp://h/y\n ftp-passwd=x\n"
    assert [wanted.urls for wanted in parse_aria2_input(text.encode()).wanted] == [
        ("ftp://a%40b:c%2Fd@h/x", "ftp://me@h/x", "http://h/x"), ("ftp://h/y",),
    ]  # fmt: skip


def test_options_mean_something_to_one_kind_of_download() -> None:
    names = (
        "header=A: b",
        "seed-ratio=1.5",
        "seed-time=30",
        "max-upload-limit=100K",
        "bt-max-peers=20",
        "max-download-limit=2m",
    )
    options = "".join(f" {name}\n" for name in names)
    magnet, url = parse_aria2_input(f"{MAGNET}\n{options}{URL}\n{options}".encode()).wanted
    assert magnet.options == {
        "seed-ratio": "1.5", "seed-time": "1800", "max-upload": "102400", "connections": "20",
        "max-download": "2097152",
    }  # fmt: skip
    assert url.options == {"header.A": "b", "max-download": "2097152"}
    common = {"header.B": "c", "any-type": "yes", "seed": "no", "mode": "on-demand"}
    assert Wanted((MAGNET,)).request(tags=(), paused=False, options=common).options == {
        "seed": "no",
        "mode": "on-demand",
    }
    torrent = Wanted(torrent=TORRENT, options={"seed": "yes"}).request(tags=(), paused=False, options=common)
    assert torrent.options == {"seed": "yes", "mode": "on-demand"}
    assert url.request(tags=(), paused=False, options=common).options == {
        "header.A": "b", "header.B": "c", "any-type": "yes", "mode": "on-demand", "max-download": "2097152",
    }  # fmt: skip


def test_what_aria2_options_have_no_equal_here_is_said() -> None:
    found = parse_aria2_input(f"{URL}\n dir=/tmp\n out=x/y.iso\n bt-prioritize-piece=head\n".encode())
    assert [wanted.name for wanted in found.wanted] == ["y.iso"]
    assert [note.partition(":")[0] for note in found.notes] == ["Line 2", "Line 3", "Line 4"]
    assert not found.faults


@pytest.mark.parametrize(
    "option",
    [
        "checksum=sha-256=xy",
        "checksum=crc=00",
        "out=..",
        "header=none",
        "seed-ratio=x",
        "max-upload-limit=1G",
        "pause=maybe",
        "select-file=a",
        "nothing",
    ],
)
def test_a_wrong_option_costs_its_download_and_no_other(option: str) -> None:
    found = parse_aria2_input(f"http://h/1\n{URL}\n  {option}\n  out=x\nhttp://h/3\n".encode())
    assert [wanted.urls for wanted in found.wanted] == [("http://h/1",), ("http://h/3",)]
    assert len(found.faults) == 1
    assert found.faults[0].startswith("Line 3: ")


@pytest.mark.parametrize("text", ["  out=x\n", f"{URL}\t{MAGNET}\n", "nothing\n", "http://h/\t\tfile:///x\n"])
def test_wrong_lines_of_aria2(text: str) -> None:
    found = parse_aria2_input(text.encode())
    assert not found.wanted
    assert len(found.faults) == 1


def test_every_extension_is_known() -> None:
    assert {sniff(f"x{extension}", b"x") for extension in EXTENSIONS} == set(Format)


names = st.sampled_from([f"a{extension}" for extension in EXTENSIONS] + ["a", ""])
BEGINNINGS = (
    b"",
    TORRENT,
    SHORTCUT.encode(),
    b"bplist00",
    b"<plist>",
    b"<metalink>",
    b"[Desktop Entry]\nType=Link\nURL=",
    b"http://",
    MAGNET.encode(),
)


@pytest.mark.parametrize("reader", [read, lambda _name, content: parse_aria2_input(content)])
@given(name=names, start=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=60))
def test_a_value_or_a_sentence_and_nothing_else(
    reader: Callable[[str, bytes], Reading], name: str, start: bytes, rest: bytes
) -> None:
    try:
        found = reader(name, start + rest)
    except BadRequest as error:
        assert "\n" not in str(error)
    else:
        assert all("\n" not in sentence for sentence in found.faults + found.notes)


plists = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("URL", "x")), inner, max_size=2),
)


@given(plists.filter(lambda value: "None" not in repr(value)), st.data())
def test_any_damage_to_a_binary_property_list(value: object, data: st.DataObject) -> None:
    content = bytearray(plistlib.dumps(value, fmt=plistlib.FMT_BINARY))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read("a.webloc", bytes(content))
    except BadRequest as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("pattern", [b"ab\n", b"\n", b"http://h/\t", b"x\r", b"<a/>", b"d4:info"])
def test_memory_is_a_few_times_what_is_read(pattern: bytes) -> None:
    content = pattern * ((4 << 20) // len(pattern))
    tracemalloc.start()
    try:
        with suppress(BadRequest):
            read("a.txt", content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(content) + (1 << 20)


@pytest.mark.parametrize(
    "text",
    ["http://a/x\n header=Authorization Bearer hunter2", "ftps://me:hunter2@a/x", "see //me:hunter2@a/x",
     "http://a/x\n https-proxy=http://me:hunter2@a/"],
)  # fmt: skip
def test_sentences_repeat_no_secrets(text: str) -> None:
    found = parse_aria2_input(text.encode())
    assert found.faults or found.notes
    assert "hunter2" not in repr((found.faults, found.notes))
