"""Dataclasses to JSON and back."""

import json
import os
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.control.codec import Mismatch, from_json, to_json
from tagfs.control.verbs import Spelling
from tagfs.control.views import ItemPage, ItemView, StatusView, VerifyView

NAMES = st.binary(max_size=40).map(os.fsdecode)  # every file name, most of them not UTF-8


SIZES = st.integers(0, 2**63 - 1)


@given(st.builds(ItemView, id=SIZES, name=NAMES, tags=st.lists(NAMES).map(tuple), size=st.none() | SIZES, done=SIZES))
def test_a_view_survives_the_wire(view: ItemView) -> None:
    line = json.dumps(to_json(view))
    assert line.isascii()
    assert from_json(json.loads(line), ItemView) == view


@given(st.binary(max_size=60))
def test_any_file_name_survives_byte_for_byte(raw: bytes) -> None:
    line = json.dumps(to_json({"name": os.fsdecode(raw)})).encode("ascii")
    assert os.fsencode(from_json(json.loads(line), Mapping[str, str])["name"]) == raw


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        (True, int, "value must be a whole number"),
        (1.0, int, "value must be a whole number"),
        (2**63, int, "value must be a whole number"),
        (10**400, float, "value must be a number"),
        (float("nan"), float, "value must be a number"),
        (1, bool, "value must be true or false"),
        (None, str, "value must be a text"),
        ("\ud800", str, "value must be a text"),  # os.fsencode would fail far from here
        (["a", 1], tuple[str, ...], r"value\[1\] must be a text"),
        ("ab", tuple[str, ...], "value must be a list"),
        ({"a": 1}, Mapping[str, str], r"value\.a must be a text"),
        ({"\ud800": "x"}, Mapping[str, str], "value must be a text"),
        ([], Mapping[str, str], "value must be an object"),
        ("loud", Spelling, "value must be one of expression, path"),
        ({"items": []}, ItemPage, r"value\.next is missing"),
        ({"items": [], "next": None, "odd": 1}, ItemPage, "value does not have 'odd'"),
        ([], VerifyView, "value must be an object"),
    ],
)
def test_what_has_another_type_is_named(value: Any, kind: Any, sentence: str) -> None:
    with pytest.raises(Mismatch, match=f"^{sentence}$"):
        from_json(value, kind)


def test_a_whole_number_is_a_number_too_and_defaults_fill_in() -> None:
    assert isinstance(from_json(3, float), float)
    assert from_json(None, str | None) is None
    assert from_json("path", Spelling) is Spelling.PATH


def test_an_older_client_reads_a_newer_daemon() -> None:
    assert from_json({"items": [], "next": None, "new": 1}, ItemPage, strict=False) == ItemPage((), None)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_foreign_values_are_refused_and_nothing_else_happens(value: Any) -> None:
    with pytest.raises(Mismatch):
        from_json([value], StatusView)
