"""Metalink 4 and 3, and what strangers may put into XML."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.formats.metalink import MAX_BYTES, MAX_DEPTH, parse_metalink
from engine.formats.wanted import Reading, Wanted
from engine.types import Pieces

SHA256 = "ab" * 32
SHA1 = ["01" * 20, "02" * 20]

V4 = f"""<?xml version="1.0" encoding="UTF-8"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink">
  <published>2026-05-15T12:23:23Z</published>
  <file name="folder/example.ext">
    <size>300000</size>
    <identity>Example</identity>
    <description>An <b xmlns="urn:other">example</b></description>
    <signature mediatype="application/pgp-signature">-----BEGIN-----</signature>
    <hash type="sha-256">{SHA256.upper()}</hash>
    <hash type="tiger">00</hash>
    <pieces length="262144" type="sha-1"><hash>{SHA1[0]}</hash><hash> {SHA1[1]}
    </hash></pieces>
    <url>https://last.example/e.ext</url>
    <url location="de" priority="2">https://second.example/e.ext</url>
    <url location="nl" priority="1">https://first.example/e.ext</url>
    <url priority="1">rsync://no.example/e.ext</url>
    <url priority="3">https://first.example/e.ext</url>
    <metaurl mediatype="torrent" priority="2">https://t.example/e.torrent</metaurl>
  </file>
  <file name="b"><url>https://first.example/b</url></file>
</metalink>"""

V3 = f"""<metalink version="3.0" xmlns="http://www.metalinker.org/">
  <publisher><name>P</name><url>https://publisher.example/</url></publisher>
  <files><file name="a.iso">
    <size>524288</size>
    <verification><hash type="md5">{"0f" * 16}</hash>
      <pieces length="262144" type="sha1"><hash piece="1">{SHA1[1]}</hash><hash piece="0">{SHA1[0]}</hash></pieces>
    </verification>
    <resources maxconnections="5">
      <url type="http" location="us" preference="10">http://worst.example/a.iso</url>
      <url type="bittorrent" preference="100">http://t.example/a.torrent</url>
      <url type="http" preference="90">http://best.example/a.iso</url>
    </resources>
  </file></files>
</metalink>"""


def test_version_4() -> None:
    assert parse_metalink(V4.encode()) == Reading(
        (
            Wanted(
                ("https://first.example/e.ext", "https://second.example/e.ext", "https://last.example/e.ext"),
                name="example.ext",
                size=300000,
                digests={"sha256": SHA256},
                pieces=Pieces("sha1", 262144, tuple(SHA1)),
                by_stranger=True,
            ),
            Wanted(("https://first.example/b",), name="b", by_stranger=True),
        )
    )


def test_version_3() -> None:
    assert parse_metalink(V3.encode("utf-16")) == Reading(
        (
            Wanted(
                ("http://best.example/a.iso", "http://worst.example/a.iso"),
                name="a.iso",
                size=524288,
                digests={"md5": "0f" * 16},
                pieces=Pieces("sha1", 262144, tuple(SHA1)),
                by_stranger=True,
            ),
        )
    )


def meta4(inside: str) -> bytes:
    return f'<metalink xmlns="urn:ietf:params:xml:ns:metalink">{inside}</metalink>'.encode()


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.exe", "y.exe"),
        ("..", None),
        ("", None),
        ("a/&#10;b/", "_b"),
        ("é", "é"),
    ],
)
def test_names_are_made_safe(given_name: str, name: str | None) -> None:
    found = parse_metalink(meta4(f'<file name="{given_name}"><url>http://h/x</url></file>'))
    assert found.wanted[0].name == name


def test_files_that_cannot_be_fetched_are_faults_of_their_own() -> None:
    found = parse_metalink(
        meta4(
            '<file name="a"><metaurl mediatype="torrent">http://h/a.torrent</metaurl></file>'
            '<file name="b"><url>file:///etc/passwd</url></file><file name="c"><url>http://h/c</url></file>'
        )
    )
    assert [wanted.name for wanted in found.wanted] == ["c"]
    assert len(found.faults) == 2
    assert "http://h/a.torrent" in found.faults[0]


@pytest.mark.parametrize("size", ["<size>600000</size>", "<size>1</size>"])
def test_pieces_that_do_not_cover_the_file_are_left_out(size: str) -> None:
    pieces = f'<pieces length="262144" type="sha-1"><hash>{SHA1[0]}</hash><hash>{SHA1[1]}</hash></pieces>'
    assert parse_metalink(meta4(f'<file name="a">{size}{pieces}<url>http://h/a</url></file>')).wanted[0].pieces is None


def test_of_several_lists_of_pieces_the_strongest_counts() -> None:
    lists = "".join(
        f'<pieces length="9" type="{kind}"><hash>{"a" * digits}</hash></pieces>'
        for kind, digits in (("sha-1", 40), ("sha-256", 64), ("md5", 32))
    )
    found = parse_metalink(meta4(f'<file name="a">{lists}<url>http://h/a</url></file>'))
    assert found.wanted[0].pieces == Pieces("sha256", 9, ("a" * 64,))


BOMB = '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<",
        b"<a/>",
        b"<metalink/>",
        b'<metalink xmlns="urn:other"><file name="x"><size>1</size></file></metalink>',
        meta4(""),
        BOMB.encode() + meta4('<file name="&b;"/>'),
        b'<!DOCTYPE metalink SYSTEM "file:///etc/passwd">' + meta4(""),
        meta4("<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH),
        meta4("<a/>" * 600_000),
        meta4(f"<file><url>{'x' * 9000}</url></file>"),
        meta4('<file name="a"><hash type="sha-256">short</hash><url>http://h/a</url></file>'),
        b'<?xml version="1.0" encoding="rot13"?>' + meta4(""),
        b'<?xml version="1.0" encoding="utf-7"?>' + meta4(""),
        b"x" * (MAX_BYTES + 1),
    ],
    ids=range(15),
)
def test_what_is_none_or_does_harm_is_refused_with_one_sentence(content: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_metalink(content)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


TOKENS = [*re.findall(r"<[^>]*>|[^<]+", V4 + V3), "<!DOCTYPE x>", "&#0;", "&x;", "]]>", "<file>", "</file>", "<pieces>"]


@given(st.lists(st.sampled_from(TOKENS) | st.text(max_size=4), max_size=30).map("".join))
def test_a_value_or_a_sentence_and_nothing_else(text: str) -> None:
    try:
        found = parse_metalink(text.encode("utf-8", "surrogatepass"))
    except BadRequest as error:
        assert "\n" not in str(error)
    else:
        assert found.wanted or found.faults


@given(st.data())
def test_any_damage_to_a_good_one(data: st.DataObject) -> None:
    content = bytearray((V4 if data.draw(st.booleans()) else V3).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        parse_metalink(bytes(content))
    except BadRequest as error:
        assert "\n" not in str(error)
