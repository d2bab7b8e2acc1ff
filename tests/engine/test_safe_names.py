"""Names from outside."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.safe_names import MAX_NAME, cut, is_safe, safe_name

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]), max_size=400)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("debian-13.iso", "debian-13.iso"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("a\0b\x1b[31mc\nd\x7f", "a_b_[31mc_d_"),
        ("exe\u202egpj.doc", "exe_gpj.doc"),
        ("", "download"),
        (".", "download"),
        ("..", "download"),
        ("...", "download"),
        ("  x  ", "x"),
        (".bashrc", ".bashrc"),
        (b"caf\xe9.txt", "caf\udce9.txt"),
        (b"caf\xc3\xa9.txt", "café.txt"),
        ("caf\udcc3\udca9.txt", "café.txt"),
        ("lone \ud800 surrogate", "lone _ surrogate"),
        ("x" * 300 + ".tar.gz", "x" * 248 + ".tar.gz"),
        ("é" * 200 + ".iso", "é" * 125 + ".iso"),
        ("x" * 10 + "." + "y" * 300, "x" * 10 + "." + "y" * 244),
    ],
)
def test_examples(raw, name):
    assert safe_name(raw) == name


@given(st.one_of(ANY_TEXT, st.binary(max_size=400)))
def test_always_one_safe_file_name(raw):
    name = safe_name(raw)
    encoded = os.fsencode(name)
    assert 0 < len(encoded) <= MAX_NAME
    assert b"/" not in encoded
    assert not any(c < 0x20 or c == 0x7F for c in encoded)
    assert name not in (".", "..")
    assert safe_name(name) == name
    assert is_safe(name)


@given(st.binary(min_size=1, max_size=200))
def test_bytes_that_are_not_utf8_can_be_had_back(raw):
    name = os.fsdecode(raw)
    if is_safe(name):
        assert os.fsencode(safe_name(raw)) == raw


@given(st.text(max_size=300), st.integers(40, 300))
def test_cut_keeps_characters_whole(text, limit):
    short = cut(text, limit)
    assert len(short.encode()) <= limit
