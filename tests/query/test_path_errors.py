"""What a path may not be: the sentence, the component it names, the limits; and that nothing else is ever raised."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.ast import Op
from query.errors import QueryError, QueryTooLong
from query.parse import Complete, Unfinished, parse_path
from tests.support.queries import AWKWARD, examples

ITEMS_ONLY = "nothing but items may follow @ or @@"
NO_UNION = "+ stands between two branches, and there is none before it"
NO_NESTING = "a group holds tags and terms only; close it with } first"
NO_END = "@ and @@ end a query, and there is no complete one before"
NO_OPERAND = "after - comes a tag, a term or a group"


@pytest.mark.parametrize(
    ("path", "component", "sentence"),
    [
        ("+", 0, NO_UNION),
        ("+/a", 0, NO_UNION),
        ("a/+/+", 2, NO_UNION),
        ("a/+/}", 2, "there is no open group to close"),
        ("a/}", 1, "there is no open group to close"),
        ("-/+", 1, NO_OPERAND),
        ("-/-/a", 1, NO_OPERAND),
        ("--a", 0, NO_OPERAND),
        ("-/@", 1, NO_OPERAND),
        ("-/}", 1, NO_OPERAND),
        ("{/}", 1, "a group needs at least one tag"),
        ("{/{", 1, NO_NESTING),
        ("{/a/{", 2, NO_NESTING),
        ("{/a/-/b", 2, NO_NESTING),
        ("{/a/-b", 2, NO_NESTING),
        ("{/a/+", 2, NO_NESTING),
        ("{/a/@", 2, NO_NESTING),  # an unclosed group is no query
        ("@", 0, NO_END),
        ("@@", 0, NO_END),
        ("a/+/@", 2, NO_END),
        ("a/@/b", 2, ITEMS_ONLY),
        ("a/@@/@", 2, ITEMS_ONLY),
        ("a,b/,", 1, "a list has a tag on each side of its commas"),
        ("a,", 0, "a list has a tag on each side of its commas"),
        ("a,,b", 0, "a list has a tag on each side of its commas"),
        ("a,-b", 0, "the tag name '-b' begins with '-', which is reserved"),
        ("a,year:", 0, "the tag name 'year:' has no value after the colon"),
        ("a/.b", 1, "the tag name '.b' begins with '.', which is reserved"),
        ("a/~b", 1, "the tag name '~b' begins with '~', which is reserved"),
        ("+a", 0, "the tag name '+a' begins with '+', which is reserved"),
        ("@a", 0, "the tag name '@a' begins with '@', which is reserved"),
        (":", 0, "a key cannot be empty"),
        (":x", 0, "a key cannot be empty"),
        ("a\tb", 0, "the tag name 'a\\tb' contains '\\t'"),
        ("year:..", 0, "the range 'year:..' needs a bound before or after the dots"),
        ("x:1..2..3", 0, "the range 'x:1..2..3' has more than one '..'"),
        ("-/.x:", 1, "the key '.x' begins with '.', which is reserved"),
        ("is:tagged", 0, "'tagged' is no value of is:, which has untagged"),
        (
            "state:/ne/done",
            2,
            (
                "'done' is no value of state:, "
                "which has queued, downloading, paused, complete, seeding, failed, missing, skipped"
            ),
        ),
        ("size:big", 0, "'big' is no value of size:, which takes bytes or a size such as 700M or 1.5GiB"),
        ("size:700m", 0, "'700m' is no value of size:, which takes bytes or a size such as 700M or 1.5GiB"),
        ("a/added:1..2026", 1, "'1' is no value of added:, which takes a date such as 2026-11-23 or an age such as 7d"),
        ("year:/eq/a,b", 2, "the tag name 'year:a,b' contains ','"),
        ("name:/has/\0", 2, "the value '\\x00' of 'name:' contains a NUL"),
        ("\udcff", 0, "'\\udcff' is not UTF-8"),
    ],
)
def test_the_sentence_names_the_component(path: str, component: int, sentence: str) -> None:
    components = path.split("/")
    with pytest.raises(QueryError) as raised:
        parse_path(components)
    shown = repr(components[component])
    assert raised.value.message == str(raised.value) == f"component {component + 1} ({shown}): {sentence}"
    assert raised.value.component == component
    assert not isinstance(raised.value, QueryTooLong)


def test_the_first_mistake_is_reported() -> None:
    with pytest.raises(QueryError) as raised:
        parse_path(["x:", "a,b", ".c"])
    assert raised.value.component == 1


def test_an_empty_component_is_refused() -> None:
    with pytest.raises(QueryError, match=r"component 1 \(''\): a tag name cannot be empty"):
        parse_path([""])
    with pytest.raises(QueryError, match=r"component 2 \(''\): the tag name 'x:' has no value after the colon"):
        parse_path(["x:", ""])


def test_long_and_foreign_text_is_shown_short_and_escaped() -> None:
    with pytest.raises(QueryError) as raised:
        parse_path([".\x1b]0;\u202e" + "x" * 200])
    assert "\x1b" not in raised.value.message
    assert "\u202e" not in raised.value.message
    assert len(raised.value.message) < 250


# Limits


@pytest.mark.parametrize("component", ["a", "x" * 63, "-", "{", "year:", "a,b"])
def test_255_components_are_read(component: str) -> None:
    components = [component] * 255
    if component in ("a", "a,b") or len(component) == 63:
        assert isinstance(parse_path(components), Complete)
    elif component == "year:":
        assert isinstance(parse_path(components), Unfinished)
    else:
        with pytest.raises(QueryError):
            parse_path(components)


def test_256_components_are_too_long() -> None:
    with pytest.raises(QueryTooLong, match="256 components, more than 255") as raised:
        parse_path(["a"] * 256)
    assert raised.value.component is None


def test_16_kib_of_text_with_its_slashes_are_read_and_not_a_byte_more() -> None:
    components = ["x" * 63] * 255 + ["y" * 64]
    components[:2] = ["z" * 127]
    assert len("/".join(components)) == 16 * 1024
    assert isinstance(parse_path(components), Complete)
    components[-1] += "y"
    with pytest.raises(QueryTooLong, match="16385 bytes, more than 16384"):
        parse_path(components)


def test_the_limits_count_bytes() -> None:
    assert isinstance(parse_path(["ü" * 127]), Complete)
    with pytest.raises(QueryTooLong, match="longer than 255 bytes") as raised:
        parse_path(["a", "ü" * 128])
    assert raised.value.component == 1


def calls_made_by(work: Callable[[], object]) -> int:
    """How many functions `work` calls, C functions included: a measure of work that no clock disturbs."""
    count = 0

    def see(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # its callbacks would be counted, too
    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


@pytest.mark.parametrize(
    "steps",
    [
        ["{name}"],
        ["{name}", "+"],
        ["-{name}"],
        ["-", "{{", "{name}", "b", "}}"],
        ["x:", "gt", "{name}"],
        ["{name},b,c,d"],
    ],
)
def test_the_work_grows_with_the_length(steps: list[str]) -> None:
    def path(count: int) -> list[str]:
        spelled = [step.format(name=f"{count}-{at}") for at in range(count) for step in steps]
        return spelled[: -1 if steps[-1] == "+" else None]

    parse_path(path(5))  # what is done once, such as reading b, c and d
    at_10, at_20, at_40 = (calls_made_by(partial(parse_path, path(count))) for count in (10, 20, 40))
    assert at_40 - at_20 == 2 * (at_20 - at_10)


# Anything


fragments = (
    st.sampled_from(
        ["+", "-", "{", "}", "@", "@@", "a", "b", "-a", "a,b", "year:", "x:1..2", "size:1G..", "-{", ":", ".."]
    )
    | st.sampled_from([op.value for op in Op])
    | st.sampled_from(AWKWARD)
)
garbage = st.text(st.characters(exclude_categories=()), max_size=6)
pieces = st.lists(fragments | garbage | st.lists(fragments | garbage, max_size=4).map("".join), max_size=9)


@examples
@given(pieces)
def test_nothing_but_query_errors_comes_out(components: list[str]) -> None:
    try:
        result = parse_path(components)
    except QueryError as error:
        assert error.component is None or 0 <= error.component < len(components)
        assert error.message.encode().decode().isprintable()
    else:
        assert isinstance(result, Complete | Unfinished)


@examples
@given(st.lists(fragments, max_size=9))
def test_every_beginning_of_a_query_is_a_query_or_unfinished(components: list[str]) -> None:
    try:
        parse_path(components)
    except QueryError as error:
        assert error.component is not None
        components = components[: error.component]
    for length in range(len(components) + 1):
        parse_path(components[:length])
