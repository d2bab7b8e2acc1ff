"""What is made of an answer: the table, row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources.stream import ContentRange, Fault, Framing, Head
from engine.transfer.judge import AllHere, Asked, Changed, Failed, Take, Unusable, judge
from engine.transfer.version import Version, version_of

URL = "http://h/file.iso"
V1 = Version(1000, '"v1"', None)
DAY = 86400 * 10**9


def head(status, **fields):
    return Head(status, URL, **fields)


def ask(start=None, end=None, known=None, held=0, **more):
    return Asked(start, end, known, held, URL, **more)


def part(start, end, total=1000, **fields):
    return head(206, content_range=ContentRange(start, end, total), **{"etag": '"v1"', "length": end - start, **fields})


@pytest.mark.parametrize(
    ("asked", "answer", "verdict"),
    [
        (ask(), head(200, length=1000), Take(0, 1000, 1000)),
        (ask(), head(200, framing=Framing.CHUNKED), Take(0, None, None)),
        (ask(), head(200, framing=Framing.CHUNKED, length=5), Take(0, None, None)),
        (ask(100, None, V1, 100), part(100, 1000), Take(100, 1000, 1000)),
        (ask(100, 200, V1, 100), part(100, 150), Take(100, 150, 1000)),
        (ask(100, None, Version(None, '"v1"'), 100), part(100, 1000), Take(100, 1000, 1000)),
        (ask(100, None, V1, 100), part(100, 1000, None), Take(100, 1000, 1000)),
        # Range was ignored: the same strong ETag makes the whole usable, nothing else does
        (ask(100, None, V1, 100), head(200, length=1000, etag='"v1"'), Take(0, 1000, 1000)),
        (ask(100, None, V1, 0), head(200, length=7), Take(0, 7, 7)),
    ],
)
def test_taken(asked, answer, verdict):
    assert judge(asked, answer) == verdict


@pytest.mark.parametrize(
    "answer",
    [
        part(100, 1000, etag='"v2"'),
        part(100, 1001, 1001),
        head(200, length=1000, etag='"v2"'),
        head(200, length=999, etag='"v1"'),
        head(200, length=1000),
        head(416, content_range=ContentRange(None, None, 50)),
        head(416),
    ],
)
def test_another_version(answer):
    verdict = judge(ask(100, None, V1, 100), answer)
    assert isinstance(verdict, Changed)
    assert verdict.why.endswith(".")


def test_another_date_is_another_version():
    known = Version(1000, None, "Mon, 01 Jan 2024 00:00:00 GMT")
    same = part(100, 1000, etag=None, last_modified=known.last_modified)
    other = part(100, 1000, etag=None, last_modified="Tue, 02 Jan 2024 00:00:00 GMT")
    assert isinstance(judge(ask(100, None, known, 100), same), Take)
    assert isinstance(judge(ask(100, None, known, 100), other), Changed)
    whole = head(200, length=1000, last_modified=known.last_modified)
    assert isinstance(judge(ask(100, None, known, 100), whole), Changed)


def test_a_range_that_was_ignored_beside_others_says_nothing_of_what_is_here():
    known = Version(1000, None, "Mon, 01 Jan 2024 00:00:00 GMT")
    beside = ask(100, None, known, 100, beside=True)
    whole = head(200, length=1000, last_modified=known.last_modified)
    assert isinstance(judge(beside, whole), Unusable)
    other = head(200, length=1000, last_modified="Tue, 02 Jan 2024 00:00:00 GMT")
    assert isinstance(judge(beside, other), Changed)
    assert isinstance(judge(beside, head(200, length=999)), Changed)


@pytest.mark.parametrize(
    "answer",
    [
        part(99, 1000),
        part(0, 900),
        part(100, 1000, length=5),
        part(100, 1000, multipart=True),
        part(100, 1000, encoded=True),
        head(206, length=900),
        head(206, content_range=ContentRange(None, None, 1000)),
    ],
)
def test_ranges_that_cannot_be_trusted(answer):
    assert isinstance(judge(ask(100, None, V1, 100), answer), Unusable)


def test_the_end_that_was_reached_already():
    end = head(416, content_range=ContentRange(None, None, 100))
    assert judge(ask(100, None, Version(None, '"v1"'), 100), end) == AllHere(100)
    assert isinstance(judge(ask(100, None, V1, 100), end), Changed)
    assert isinstance(judge(ask(), end), Failed)


@pytest.mark.parametrize(
    ("status", "fault"),
    [(status, Fault.FINAL) for status in (204, 299, 302, 304, 401, 403, 404, 410, 418, 451)]
    + [(status, Fault.PASSING) for status in (408, 429, 500, 503, 599)],
)
def test_refusals(status, fault):
    verdict = judge(ask(), head(status))
    assert isinstance(verdict, Failed)
    assert verdict.fault is fault
    assert verdict.why.startswith("h ")
    assert verdict.why.endswith(".")


def test_the_wait_that_is_asked_for_is_passed_on():
    assert judge(ask(), head(503, retry_after=120.0)).retry_after == 120.0


def test_a_part_that_nobody_asked_for():
    assert judge(ask(), part(0, 1000)).fault is Fault.STUBBORN


@pytest.mark.parametrize(
    ("url", "fields", "suspect"),
    [
        ("http://h/a.iso", {}, True),
        ("http://h/a.tar.gz", {}, True),
        ("http://h/a.mkv?x", {}, True),
        ("http://h/a.html", {}, False),
        ("http://h/a.txt", {}, False),
        ("http://h/a", {}, False),
        ("http://h/", {}, False),
        ("http://h/a.iso", {"name": "b.html"}, False),
    ],
)
def test_a_page_where_a_file_was_promised(url, fields, suspect):
    answer = Head(200, url, length=10, media_type="text/html", **fields)
    verdict = judge(Asked(None, None, None, 0, url), answer)
    assert isinstance(verdict, Failed if suspect else Take)
    assert isinstance(judge(Asked(None, None, None, 0, url, any_type=True), answer), Take)
    assert isinstance(judge(Asked(100, None, V1, 100, url), answer), Failed if suspect else Changed)


def test_only_settled_dates_validate():
    date = "Mon, 01 Jan 2024 00:00:00 GMT"

    def version(age_ns, **fields):
        return version_of(head(200, last_modified=date, last_modified_ns=DAY, date_ns=DAY + age_ns, **fields), 5, 0)

    assert version(60 * 10**9).validator == date
    assert version(59 * 10**9).validator is None
    assert version(-5).validator is None
    assert version(0, etag='"v1"').validator == '"v1"'
    assert version_of(head(200, last_modified=date, last_modified_ns=DAY), 5, 2 * DAY).validator == date


@given(
    st.builds(
        Head,
        status=st.sampled_from([200, 203, 204, 206, 416, 404, 503]),
        url=st.just(URL),
        length=st.none() | st.integers(0, 20),
        framing=st.sampled_from(Framing),
        content_range=st.none()
        | st.builds(ContentRange, st.integers(0, 9), st.integers(10, 20), st.none() | st.just(20)),
        multipart=st.booleans(),
        encoded=st.booleans(),
        etag=st.none() | st.sampled_from(['"v1"', '"v2"']),
    ),
    st.none() | st.integers(0, 19),
    st.none() | st.builds(Version, st.none() | st.just(20), st.none() | st.just('"v1"')),
    st.integers(0, 20),
)
def test_what_is_taken_never_mixes(answer, start, known, held):
    verdict = judge(Asked(start, None, known, held, URL), answer)
    if isinstance(verdict, Take):
        assert verdict.start in (0, start)
        if held and known is not None and known.etag and answer.etag:
            assert known.etag == answer.etag
        if answer.status == 206:
            assert verdict.start == start == answer.content_range.start
