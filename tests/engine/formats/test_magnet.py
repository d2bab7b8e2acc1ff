"""Magnet links: every parameter, round trips, and nothing but BadRequest for nonsense."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.formats.magnet import MAX_LENGTH, Magnet, is_magnet, magnet_uri, merged, parse_magnet, public_magnet
from engine.safe_names import safe_name

V1 = "c9e15763f722f23e98a29decdfae341b98d53056"
V2 = "ab" * 32
BASE32 = "ZHQVOY7XELZD5GFCTXWN7LRUDOMNKMCW"


def test_every_parameter() -> None:
    link = (
        f"magnet:?xt=urn:btih:{V1.upper()}&xt.1=urn:btmh:1220{V2}&dn=Some+na%6De.iso&tr=udp%3A%2F%2Ft.example%3A80"
        "&tr.2=http%3A%2F%2Ft.example%2Fann%3Fpasskey%3D1%262&tr=udp%3A%2F%2Ft.example%3A80&ws=https%3A%2F%2Fw.example%2Ff"
        "&so=4-6,0,2,5&x.pe=192.0.2.1:6881&x.pe=[2001:DB8::1]:80&x.pe=peer.example:1&xl=10&as=x"
    )
    assert parse_magnet(f"  {link}\n") == Magnet(
        V1,
        V2,
        "Some name.iso",
        ("udp://t.example:80", "http://t.example/ann?passkey=1&2"),
        ("https://w.example/f",),
        ((0, 0), (2, 2), (4, 6)),
        (("192.0.2.1", 6881), ("2001:db8::1", 80), ("peer.example", 1)),
    )


@pytest.mark.parametrize(
    ("link", "v1", "v2"),
    [
        (f"magnet:?xt=urn:btih:{BASE32}", V1, None),
        (f"magnet:?xt=urn:btih:{BASE32.lower()}", V1, None),
        (f"MAGNET:?XT=URN:BTIH:{V1}", V1, None),
        (f"magnet:?xt=urn%3Abtih%3A{V1}&amp;dn=x", V1, None),
        (f"magnet:?xt=urn:btmh:1220{V2.upper()}", None, V2),
        (f"magnet:?xt=urn:sha1:YNCKHTQCWBTRNJIV4WNAE52SJUQCZO5C&xt=urn:btih:{V1}&xt=urn:btih:{V1}", V1, None),
    ],
)
def test_infohashes_of_all_kinds(link: str, v1: str | None, v2: str | None) -> None:
    found = parse_magnet(link)
    assert (found.v1, found.v2) == (v1, v2)


@pytest.mark.parametrize(
    "link",
    [
        "", "magnet:", "magnet:?", "http://h/x", "magnet:?dn=x", "magnet:?xt=urn:btih:", f"magnet:?xt=urn:btih:{V1}0",
        f"magnet:?xt=urn:btmh:1320{V2}", f"magnet:?xt=urn:btih:{V1}&xt=urn:btih:{'0' * 40}",
        f"magnet:?xt=urn:btih:{V1}&so=a",
        f"magnet:?xt=urn:btih:{V1}&so=3-1", f"magnet:?xt=urn:btih:{V1}&so=99999999", f"magnet:?xt=urn:btih:{'١' * 40}",
        f"magnet:?xt=urn:btih:{V1}&dn={'x' * MAX_LENGTH}",
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_one_sentence(link: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_magnet(link)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_used_is_left_out() -> None:
    rest = "&tr=file:///etc/passwd&tr=nonsense&tr=http://[&ws=udp://w/&x.pe=h&x.pe=h:0&x.pe=h:70000&x.pe=[::g]:1&x.pe=::1:1"
    assert parse_magnet(f"magnet:?xt=urn:btih:{V1}&dn=&dn=..{rest}") == Magnet(V1, None)


def test_names_are_made_safe() -> None:
    assert parse_magnet(f"magnet:?xt=urn:btih:{V1}&dn=..%2F..%2Fetc%00%E9").name == ".._.._etc_\udce9"


def test_the_public_link_tells_nothing_private() -> None:
    link = (
        f"magnet:?xt=urn:btih:{V1}&dn=x&so=1&tr=http://t.example/SECRET/announce&ws=http://u:SECRET@h/&x.pe=10.0.0.1:1"
    )
    assert public_magnet(parse_magnet(link)) == f"magnet:?xt=urn:btih:{V1}&dn=x&so=1"


names = st.text(max_size=60).map(lambda text: safe_name(text, "") or None)
urls = st.builds("{}://h.example/{}".format, st.sampled_from(("http", "https")), st.text("abc/?&=+%20#", max_size=20))
hosts = st.one_of(st.ip_addresses().map(str), st.just("peer.example"))
spans = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1]))).map(merged)


@given(
    st.builds(
        Magnet,
        st.just(V1),
        st.sampled_from((None, V2)),
        names,
        st.lists(urls, unique=True).map(tuple),
        st.lists(urls, unique=True).map(tuple),
        spans,
        st.lists(st.tuples(hosts, st.integers(1, 65535)), unique=True).map(tuple),
    )
)
def test_the_canonical_link_reads_back_as_the_same(magnet: Magnet) -> None:
    assert parse_magnet(magnet_uri(magnet)) == magnet


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)).map(lambda s: (s[0], s[0] + s[1]))))
def test_merging_ranges_keeps_the_numbers(given_spans: list[tuple[int, int]]) -> None:
    result = merged(given_spans)
    assert {n for a, b in given_spans for n in range(a, b + 1)} == {n for a, b in result for n in range(a, b + 1)}
    assert all(before[1] + 1 < after[0] for before, after in pairwise(result))


parameters = st.sampled_from(
    ("xt=urn:btih:", "xt.1=urn:btmh:1220", V1, V2, "&", "=", "so=", "x.pe=[", "%", "tr=http://[", "dn=", ":", ",")
)


@given(st.lists(parameters | st.text(max_size=5), max_size=20).map(lambda parts: "magnet:?" + "".join(parts)))
def test_a_value_or_a_sentence_and_nothing_else(link: str) -> None:
    try:
        found = parse_magnet(link)
    except BadRequest as error:
        assert "\n" not in str(error)
    else:
        assert parse_magnet(magnet_uri(found)) == found


@given(st.text())
def test_any_text(text: str) -> None:
    is_magnet(text)
    with suppress(BadRequest):
        parse_magnet(text)
