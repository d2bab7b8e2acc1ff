"""File names in Content-Disposition headers."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.safe_names import is_safe
from engine.sources.disposition import disposition_name


def raw(text: str) -> str:
    """Raw UTF-8 bytes in a header, as they arrive."""
    return text.encode().decode("latin-1")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="a b.iso"', "a b.iso"),
        ("attachment; filename=a.iso", "a.iso"),
        ("attachment;filename=a.iso;size=3", "a.iso"),
        ("ATTACHMENT; FILENAME=a.iso", "a.iso"),
        ('inline; filename="a\\"b.iso"', 'a"b.iso'),
        ('attachment; filename="a;b.iso"', "a;b.iso"),
        ("attachment; filename*=UTF-8''%e2%82%ac%20rates.txt", "€ rates.txt"),
        ("attachment; filename*=utf-8'en'na%C3%AFve.txt", "naïve.txt"),
        ("attachment; filename*=ISO-8859-1''%A3.txt", "£.txt"),
        ("attachment; filename=\"EURO.txt\"; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
        ("attachment; filename*=utf-8''%e2%82%ac.txt; filename=EURO.txt", "€.txt"),
        ("attachment; filename*=UTF-8''%FF.txt", "\udcff.txt"),
        ("attachment; filename*=nonsense''a%20b.txt", "a b.txt"),
        ("attachment; filename*=unicode_escape''%5Cu0041", "_u0041".lstrip("_")),
        ("attachment; filename*=UTF-8%22a.txt", 'UTF-8"a.txt'),
        ('attachment; filename*0="long"; filename*1="name.txt"', "longname.txt"),
        ("attachment; filename*0*=UTF-8''%e2%82; filename*1*=%ac.txt", "€.txt"),
        ("attachment; filename=a b c.iso", "a b c.iso"),
        ("attachment; filename='a.iso'", "a.iso"),
        ('attachment; filename="unclosed.iso', "unclosed.iso"),
        ("filename=a.iso", "a.iso"),
        ("attachment; name=a.iso", "a.iso"),
        (raw('attachment; filename="žluť.iso"'), "žluť.iso"),
        ('attachment; filename="caf\xe9.iso"', "caf\udce9.iso"),
        ('attachment; filename="na%C3%AFve.iso"', "naïve.iso"),
        ('attachment; filename="100%.iso"', "100%.iso"),
        ('attachment; filename="=?UTF-8?B?4oKsLnR4dA==?="', "€.txt"),
        ('attachment; filename="=?broken?="', "=?broken?="),
        ('attachment; filename="=?utf-\xff?b?YQ==?="', "=?utf-\udcff?b?YQ==?="),  # a charset that is no text
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\dir\\file.txt"', "file.txt"),
        ('attachment; filename="/"', None),
        ('attachment; filename=".."', None),
        ('attachment; filename=""', None),
        ("attachment", None),
        ("", None),
        (";;;===;;", None),
        ('attachment; filename="a\x1b[2Jb"', "a_[2Jb"),
        ("attachment; filename*=UTF-8''exe%E2%80%AEgpj.doc", "exe_gpj.doc"),
    ],
)
def test_zoo(header, name):
    assert disposition_name(header) == name


ALPHABET = st.one_of(
    st.sampled_from(
        ["filename", "*", "=", ";", '"', "'", "\\", "%", "UTF-8", "''", "0", "1", "%ff", "=?", "?=", "..", "/"]
    ),
    st.characters(max_codepoint=255),
)


@given(st.lists(ALPHABET, max_size=60).map("".join))
def test_never_fails_and_is_always_safe(header):
    name = disposition_name("attachment; filename" + header)
    assert name is None or is_safe(name)
    name = disposition_name(header)
    assert name is None or (is_safe(name) and len(os.fsencode(name)) <= 255)
