"""Which texts are tag names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.builtin import BUILTIN, BUILTIN_KEYS, CHOICES
from query.errors import BadName
from query.names import check_key, check_own_tag, check_tag, split_pair
from tests.support.queries import AWKWARD, examples


@pytest.mark.parametrize("name", [*AWKWARD, "year:2000", "a:b:c", "x:.", "x:a..b", "x" * 255, "k:" + "v" * 253])
def test_legal_names_are_themselves(name: str) -> None:
    assert check_tag(name) == name
    assert check_own_tag(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "cannot be empty"),
        *((lead + "a", "is reserved") for lead in "+-{}@~."),
        *((operator, "is reserved") for operator in ("+", "-", "{", "}", "@", "@@", ".", "..")),
        ("a/b", "contains '/'"),
        ("a,b", "contains ','"),
        ("a\0", r"contains '\\x00'"),
        ("a\nb", r"contains '\\n'"),
        ("a\x7f", r"contains '\\x7f'"),
        ("a\x85", r"contains '\\x85'"),
        ("x" * 256, "longer than 255 bytes"),
        ("ü" * 128, "longer than 255 bytes"),
        ("k:" + "v" * 254, "longer than 255 bytes"),
        ("\udcff", "is not UTF-8"),
        (":x", "no key"),
        (":", "no key"),
        ("x:", "no value"),
        ("x:..", "stands for a range"),
    ],
)
def test_bad_names_are_refused_in_one_sentence(name: str, reason: str) -> None:
    with pytest.raises(BadName, match=reason) as raised:
        check_tag(name)
    assert str(raised.value).isprintable()
    with pytest.raises(BadName):
        check_own_tag(name)


def test_names_become_normal_form_c_and_keep_their_case() -> None:
    assert check_tag("U\u0308ber:A\u030a") == "\u00dcber:\u00c5"
    # a name may grow when it is normalised: U+0958 composes from nothing
    with pytest.raises(BadName, match="longer"):
        check_tag("\u0958" * 50)


@pytest.mark.parametrize("key", sorted(BUILTIN_KEYS))
def test_built_in_keys_cannot_be_set_but_their_names_are_tags(key: str) -> None:
    with pytest.raises(BadName, match=f"{key}: is computed"):
        check_own_tag(f"{key}:x")
    assert check_own_tag(key) == key
    assert check_own_tag(f"{key}s:x") == f"{key}s:x"
    assert BUILTIN[key]


def test_the_contract_names_the_built_in_keys() -> None:
    assert {"state", "type", "ext", "size", "added", "source", "host", "name", "sha256", "is"} == BUILTIN_KEYS
    assert CHOICES.keys() <= BUILTIN_KEYS


def test_pairs_split_at_the_first_colon() -> None:
    assert split_pair("year:2000") == ("year", "2000")
    assert split_pair("url:http://x") == ("url", "http://x")
    assert split_pair("movie") is None
    assert split_pair("x:") == ("x", "")


def test_a_key_has_no_colon() -> None:
    assert check_key("year") == "year"
    with pytest.raises(BadName, match="contains a colon"):
        check_key("a:b")


@examples
@given(st.text(st.characters(exclude_categories=()), max_size=10))
def test_a_checked_name_is_settled(name: str) -> None:
    try:
        checked = check_tag(name)
    except BadName:
        return
    assert check_tag(checked) == checked
    assert len(checked.encode()) <= 255
