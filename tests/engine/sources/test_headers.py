"""Reading response heads."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources.headers import parse_content_range, parse_date, parse_retry_after, read_head
from engine.sources.stream import ContentRange, Framing

NOW = 1_800_000_000.0


def head(status=200, **fields):
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return read_head(status, "http://h/", pairs, now=NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 0-99/1000", ContentRange(0, 100, 1000)),
        ("Bytes 5-5/*", ContentRange(5, 6, None)),
        ("bytes */1000", ContentRange(None, None, 1000)),
        ("bytes 10-5/1000", None),
        ("bytes 0-1000/1000", None),
        ("bytes 0-99", None),
        ("items 0-1/2", None),
        ("bytes 0-99999999999999999999/*", None),
        ("", None),
    ],
)
def test_content_range(value, expected):
    assert parse_content_range(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 1.0),
        ("1", 1.0),
        ("120", 120.0),
        ("86400", 3600.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Fri, 15 Jan 2027 08:01:40 GMT", 100.0),
        ("Thu, 01 Jan 2015 00:00:00 GMT", 1.0),
        ("9" * 5000, None),
    ],
)
def test_retry_after(value, expected):
    assert parse_retry_after(value, NOW) == expected


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("yesterday", None),
        ("Thu, 01 Jan 1900 00:00:00 GMT", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        (None, None),
    ],
)
def test_dates(value, seconds):
    assert parse_date(value) == (None if seconds is None else seconds * 10**9)


def test_etags_are_strong_or_nothing():
    assert head(etag='"abc"').etag == '"abc"'
    assert head(etag='W/"abc"').etag is None
    assert head(etag="abc").etag is None
    assert head(etag='"a" "b"').etag is None


def test_framing():
    assert head(content_length="5").framing is Framing.LENGTH
    assert head(transfer_encoding="chunked").framing is Framing.CHUNKED
    assert head().framing is Framing.CLOSE
    assert head(content_length="-5").length is None


def b64(name, content=b"x"):
    return base64.b64encode(hashlib.new(name, content).digest()).decode()


def test_digests_of_all_kinds():
    want = {name: hashlib.new(name, b"x").hexdigest() for name in ("sha256", "sha512", "md5", "sha1")}
    assert head(repr_digest=f"sha-256=:{b64('sha256')}:, sha-512=:{b64('sha512')}:").digests == {
        "sha256": want["sha256"],
        "sha512": want["sha512"],
    }
    assert head(digest=f"SHA-256={b64('sha256')},md5={b64('md5')}").digests == {
        "sha256": want["sha256"],
        "md5": want["md5"],
    }
    assert head(content_md5=b64("md5")).digests == {"md5": want["md5"]}
    assert head(content_digest=f"sha-256=:{b64('sha256')}:").digests == {"sha256": want["sha256"]}


def test_digests_of_a_part_say_nothing_about_the_whole():
    part = head(206, content_digest=f"sha-256=:{b64('sha256')}:", content_md5=b64("md5"), digest="md5=!!!")
    assert part.digests == {}
    assert head(206, repr_digest=f"sha-256=:{b64('sha256')}:").digests != {}


def test_other_facts():
    assert head(content_encoding="gzip").encoded
    assert not head(content_encoding="identity").encoded
    assert head(content_type="Multipart/ByteRanges; boundary=x").multipart
    assert head(accept_ranges="none").ranges is False
    assert head(accept_ranges="bytes").ranges is True
    assert head().ranges is None
    assert head(last_modified="rubbish").last_modified is None


@given(
    st.integers(100, 599),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "content-length",
                    "content-range",
                    "content-type",
                    "content-md5",
                    "content-disposition",
                    "accept-ranges",
                    "etag",
                    "date",
                    "last-modified",
                    "retry-after",
                    "digest",
                    "repr-digest",
                ]
            ),
            st.text(st.characters(max_codepoint=255), max_size=60),
        ),
        max_size=20,
    ),
)
def test_nonsense_never_fails(status, fields):
    read_head(status, "http://h/", fields, now=NOW)
