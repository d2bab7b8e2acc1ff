"""Link headers and the mirrors in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources.headers import read_head
from engine.sources.links import MAX_LINKS, MAX_MIRRORS, Link, metalink_of, mirrors_of, parse_links
from engine.sources.stream import LAST_PRIORITY, Mirror

BASE = "https://example.com/dir/example.ext"


def mirrors(header):
    return mirrors_of(parse_links(header), BASE)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("<http://a/>", [Link("http://a/", {})]),
        ('<http://a/>; rel="duplicate"; pri=1; pref', [("http://a/", {"rel": "duplicate", "pri": "1", "pref": ""})]),
        ("<a>;REL=duplicate , <b> ; rel = x", [("a", {"rel": "duplicate"}), ("b", {"rel": "x"})]),
        ("<a,b;c>; rel=d", [("a,b;c", {"rel": "d"})]),
        (r'<a>; title="x, <y>; \"z\\"; rel=d', [("a", {"title": 'x, <y>; "z\\', "rel": "d"})]),
        ("<a>; rel=one; rel=two", [("a", {"rel": "one"})]),
        ("<a>;;; rel=one;", [("a", {"rel": "one"})]),
        ("<a> nonsense =; rel=one, <b>", [("a", {"nonsense": "", "rel": "one"}), ("b", {})]),
        ('<a>; title="never closed, <b>', [("a", {"title": "never closed, <b>"})]),
        ("<a>; rel=b, <never closed", [("a", {"rel": "b"})]),
        ("no link, <a>", [("a", {})]),
        ("<a>; title*=UTF-8''x; rel=d", [("a", {"title*": "UTF-8''x", "rel": "d"})]),
    ],
)
def test_links_are_parsed(header, expected):
    assert parse_links(header) == [link if isinstance(link, Link) else Link(*link) for link in expected]


names = st.from_regex("[a-z]{1,8}", fullmatch=True)
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20)
targets = texts.filter(lambda text: ">" not in text and text == text.strip())


@given(st.lists(st.tuples(targets, st.dictionaries(names, texts, max_size=4)), max_size=5))
def test_what_is_written_properly_is_read_as_it_was_meant(links):
    def quoted(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"<{target}>" + "".join(f"; {name}={quoted(value)}" for name, value in parameters.items())
        for target, parameters in links
    )
    assert parse_links(header) == [Link(target, parameters) for target, parameters in links]


@given(st.text(st.sampled_from('<>;,="\\ arel\t\xff'), max_size=60))
def test_nonsense_is_no_error(header):
    assert len(parse_links(header)) <= header.count("<")
    mirrors(header)


def test_the_best_mirror_comes_first():
    header = (
        "<http://c.example/x>; rel=duplicate; pri=20; geo=US, <http://d.example/x>; rel=duplicate,"
        '<http://b.example/x>; rel="duplicate"; pri=1; geo="de", <elsewhere>; rel=next,'
        "<http://a.example/x>; rel=duplicate; pri=99; pref"
    )
    assert mirrors(header) == (
        Mirror("http://a.example/x", 99),
        Mirror("http://b.example/x", 1, "de"),
        Mirror("http://c.example/x", 20, "us"),
        Mirror("http://d.example/x", LAST_PRIORITY),
    )


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("<other.ext>; rel=duplicate", "https://example.com/dir/other.ext"),
        ("</top>; rel=duplicate", "https://example.com/top"),
        ("<//host/x#part>; rel=duplicate", "https://host/x"),
        ("<http://user:word@host/x>; rel=duplicate", "http://host/x"),
        ('<http://host/x>; rel="next DUPLICATE"', "http://host/x"),
        ("<example.ext>; rel=duplicate", None),
        ("<http://host/x>; rel=duplicates", None),
        ("<http://host/x>; rel=duplicate; anchor=other", None),
        ("<javascript:alert(1)>; rel=duplicate", None),
        ("<file:///etc/passwd>; rel=duplicate", None),
        ("<http://[::1/x>; rel=duplicate", None),
        ("<http://host:99999/x>; rel=duplicate", None),
    ],
)
def test_only_what_could_be_fetched_is_a_mirror(link, expected):
    assert [mirror.url for mirror in mirrors(link)] == ([] if expected is None else [expected])


@pytest.mark.parametrize("priority", ["0", "-1", "1000000", "x", "1.5", '""'])
def test_a_priority_that_is_none_comes_last(priority):
    assert mirrors(f"<http://host/x>; rel=duplicate; pri={priority}")[0].priority == LAST_PRIORITY


def test_how_many_mirrors_are_believed_is_bounded():
    many = ", ".join(f"<http://h{number}.example/>; rel=duplicate" for number in range(MAX_LINKS + 100))
    assert len(parse_links(many)) == MAX_LINKS
    assert len(mirrors(many)) == MAX_MIRRORS


def test_two_links_to_one_url_are_one_mirror():
    assert mirrors("<http://a/>; rel=duplicate; pri=3, <http://a/>; rel=duplicate; pri=1") == (Mirror("http://a/", 3),)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (
            '<x.meta4>; rel=describedby; type="application/metalink4+xml"',
            "https://example.com/dir/x.meta4",
        ),
        ("<http://h/x>; rel=describedby; type=Application/Metalink4+XML;", "http://h/x"),
        ('<x.asc>; rel=describedby; type="application/pgp-signature"', None),
        ('<x.meta4>; rel=next; type="application/metalink4+xml"', None),
        ("<x.meta4>; rel=describedby", None),
        ('<file:///x>; rel=describedby; type="application/metalink4+xml"', None),
    ],
)
def test_the_metalink_that_describes_the_file(link, expected):
    assert metalink_of(parse_links(link), BASE) == expected


def test_several_headers_of_a_response_count_together():
    head = read_head(
        200,
        BASE,
        [
            ("link", "<http://a.example/x>; rel=duplicate; pri=2"),
            ("link", "<http://b.example/x>; rel=duplicate; pri=1"),
            ("link", '<x.meta4>; rel=describedby; type="application/metalink4+xml"'),
            (
                "digest",
                "SHA-256=MWVkMWQxYTRiMzk5MDQ0MzI3NGU5NDEyZTk5OWY1ZGFmNzgyZTJlODYzYjRjYzFhOTlmNTQwYzI2M2QwM2U2MQ==",
            ),
        ],
        now=0.0,
    )
    assert head.mirrors == (Mirror("http://b.example/x", 1), Mirror("http://a.example/x", 2))
    assert head.metalink == "https://example.com/dir/x.meta4"
