"""The expression spelling: its grammar by example, its complaints, its limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.ast import And, Compare, End, Expr, Not, Op, Or, Query, Range, Tag
from query.errors import QueryError, QueryTooLong
from query.evaluate import leaves
from query.normalise import normalise
from query.parse import parse_expression
from query.render import render_expression
from tests.support.queries import AWKWARD, examples

a, b, c, d = map(Tag, "abcd")


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        ("a", a),
        ("a and b", And((a, b))),
        ("a or b", Or((a, b))),
        ("not a", Not(a)),
        ("a AND b OR NOT c", Or((And((a, b)), Not(c)))),
        # not binds tighter than and, and tighter than or
        ("a or b and c", Or((a, And((b, c))))),
        ("not a and b", And((Not(a), b))),
        ("not a or b", Or((Not(a), b))),
        ("(a or b) and c", And((Or((a, b)), c))),
        ("not (a and b)", Not(And((a, b)))),
        ("not not a", Not(Not(a))),
        ("((a))", a),
        ("(a and b) and c", And((And((a, b)), c))),
        # lists
        ("a,b", Or((a, b))),
        ("a, b ,c and d", And((Or((a, b, c)), d))),
        ("not a,year:2000", Not(Or((a, Compare("year", Op.EQ, "2000"))))),
        # comparisons, with and without white space
        ("year = 2000", Compare("year", Op.EQ, "2000")),
        ("year != 2000", Compare("year", Op.NE, "2000")),
        ("year < 2000", Compare("year", Op.LT, "2000")),
        ("year <= 2000", Compare("year", Op.LE, "2000")),
        ("year>2000", Compare("year", Op.GT, "2000")),
        ("year>=2000", Compare("year", Op.GE, "2000")),
        ("year!=2000", Compare("year", Op.NE, "2000")),
        ("name has debian", Compare("name", Op.HAS, "debian")),
        ("name HAS 'debian 13'", Compare("name", Op.HAS, "debian 13")),
        ("added >= 2026-11-23T10:00", Compare("added", Op.GE, "2026-11-23T10:00")),
        ("title = a..b", Compare("title", Op.EQ, "a..b")),
        # pairs and ranges
        ("year:2000", Compare("year", Op.EQ, "2000")),
        ("url:http://x", None),
        ("source:http://x", Compare("source", Op.EQ, "http://x")),
        ("year:2000..2010", Range("year", "2000", "2010")),
        ("year:..2010", Range("year", None, "2010")),
        ("x:'a b'..\"c d\"", Range("x", "a b", "c d")),
        # quotes
        ('"and"', Tag("and")),
        ("'a b'", Tag("a b")),
        ("a' 'b", Tag("a b")),
        ('"say \\"hi\\" \\\\"', Tag('say "hi" \\')),
        ("back\\slash", Tag("back\\slash")),
        ('"year:2000"', Compare("year", Op.EQ, "2000")),
        ('"title:a..b"', Compare("title", Op.EQ, "a..b")),
        ('title:"a..b"', Compare("title", Op.EQ, "a..b")),
        ('"k y":v', Compare("k y", Op.EQ, "v")),
        ("year > 'and'", Compare("year", Op.GT, "and")),
        # words
        ("h.264 and c++ and a@b", And((Tag("h.264"), Tag("c++"), Tag("a@b")))),
        ("And", Tag("And")),
        ("android", Tag("android")),
        ("a!b", Tag("a!b")),
        ("name:100%2F", Compare("name", Op.EQ, "100%2F")),
        ("movie and (1080p or 2160p) and not watched and year >= 2000",
         And((Tag("movie"), Or((Tag("1080p"), Tag("2160p"))), Not(Tag("watched")), Compare("year", Op.GE, "2000")))),
    ],
)  # fmt: skip
def test_expressions(text: str, expr: Expr | None) -> None:
    if expr is None:
        with pytest.raises(QueryError):
            parse_expression(text)
    else:
        assert parse_expression(text) == Query(expr)
        assert parse_expression(f"  {text}\n") == Query(expr)


def test_ends() -> None:
    assert parse_expression("a @") == Query(a, End.ITEMS)
    assert parse_expression("a and b @@") == Query(And((a, b)), End.LITERAL)


@pytest.mark.parametrize("name", AWKWARD)
def test_every_legal_name_can_be_quoted(name: str) -> None:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    assert parse_expression(f"'{escaped}'") == Query(Tag(name))


OPERAND = "a tag, a term, not or a parenthesis"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "column 1: the expression is empty"),
        ("  ", "column 3: the expression is empty"),
        ("a b", "column 3: 'b' follows another operand; join the two with and or or"),
        ("a (b)", "column 3: '(' follows another operand; join the two with and or or"),
        ("a not b", "column 3: 'not' follows another operand; join the two with and or or"),
        ("(a", "column 3: a parenthesis is never closed"),
        ("a)", "column 2: this parenthesis was never opened"),
        ("a and", f"column 6: the expression ends where {OPERAND} should follow"),
        ("not", f"column 4: the expression ends where {OPERAND} should follow"),
        ("(", f"column 2: the expression ends where {OPERAND} should follow"),
        ("and a", f"column 1: 'and' stands where {OPERAND} should"),
        ("a or or b", f"column 6: 'or' stands where {OPERAND} should"),
        ("()", f"column 2: ')' stands where {OPERAND} should"),
        ("a >", "column 4: the expression ends where a value should follow"),
        ("a = and", "column 5: 'and' stands where a value should"),
        ("a > > b", "column 5: '>' stands where a value should"),
        ("> 5", f"column 1: '>' stands where {OPERAND} should"),
        ("a:b > 5", "column 5: '>' needs a plain key before it, as in year >= 2000"),
        ("year > 5 6", "column 10: '6' follows another operand; join the two with and or or"),
        ("a, (b)", "column 4: '(' stands where a tag or a term should"),
        ("a,", "column 3: the expression ends where a tag or a term should follow"),
        ("(a), b", "column 4: a comma joins tags and terms only; use or"),
        ("a @ b", "column 5: 'b' follows @ or @@, which end an expression"),
        ("(a @)", "column 4: '@' may only stand at the end, outside parentheses"),
        ("don't", "column 4: the quote ' is never closed"),
        ('a and "b', 'column 7: the quote " is never closed'),
        ("-a", "column 1: the tag name '-a' begins with '-', which is reserved"),
        ("a and .b", "column 7: the tag name '.b' begins with '.', which is reserved"),
        ('""', "column 1: a tag name cannot be empty"),
        ("x:", "column 1: the tag name 'x:' has no value after the colon"),
        ("x:..", "column 1: the range 'x:..' needs a bound before or after the dots"),
        ("x:'1.'..2", "column 1: the range 'x:1...2' has more than one '..'"),
        ("x:1..2..3", "column 1: the range 'x:1..2..3' has more than one '..'"),
        ("size > big", "column 8: 'big' is no value of size:, which takes bytes or a size such as 700M or 1.5GiB"),
        ("a\udcff", "column 1: 'a\\udcff' is not UTF-8"),
    ],
)
def test_the_sentence_names_the_column(text: str, sentence: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse_expression(text)
    assert raised.value.message == sentence
    assert raised.value.component is None


# Limits


@pytest.mark.parametrize("opening", ["(", "not ", "not (", "(not "])
def test_deep_nesting_is_refused_in_a_sentence(opening: str) -> None:
    with pytest.raises(QueryTooLong, match="nested deeper than 64 levels"):
        parse_expression(opening * (16_000 // len(opening)))
    with pytest.raises(QueryTooLong, match="more than 16384"):
        parse_expression(opening * 5000 * 4)


def test_5000_parentheses_are_refused_in_a_sentence() -> None:
    with pytest.raises(QueryTooLong, match="nested deeper than 64 levels"):
        parse_expression("(" * 5000 + "a" + ")" * 5000)


def test_64_levels_can_be_parsed_and_worked_with() -> None:
    text = "a"
    for level in range(32):
        text = f"not ({text} {'and' if level % 2 else 'or'} b{level} and c)"
    query = parse_expression(text)
    assert parse_expression(render_expression(query)) == query
    assert normalise(normalise(query)) == normalise(query)
    assert hash(query) == hash(parse_expression(text))


def test_nots_of_neighbours_do_not_add_up() -> None:
    parse_expression(" and ".join(["not not a", "not (not b or not c)"] * 100))


def test_16_kib_are_read() -> None:
    text = "a or " * 3276 + "b or"
    text = text[:-3]
    assert len(list(leaves(parse_expression(text).expr))) == 3277
    assert len(list(leaves(parse_expression(",".join("a" * 8192)).expr))) == 8192
    with pytest.raises(QueryTooLong, match="16385 bytes, more than 16384"):
        parse_expression("ü" * 8192 + "a")


# Anything


words = st.sampled_from(
    ["and", "or", "not", "has", "(", ")", ",", "=", "!=", "<", ">=", "a", "b", "year:2000", "x:1..2"]
)
marks = st.sampled_from(["'", '"', "\\", "!", "@", "@@", ":", "..", " ", "é", "\n"])
garbage = st.text(st.characters(exclude_categories=()), max_size=4)


@examples
@given(st.lists(words | words | marks | garbage, max_size=12), st.sampled_from(["", " "]))
def test_nothing_but_query_errors_comes_out(parts: list[str], between: str) -> None:
    text = between.join(parts)
    try:
        query = parse_expression(text)
    except QueryError as error:
        assert error.component is None
        assert error.message.isprintable()
        assert error.message.startswith("column ")
    else:
        assert parse_expression(render_expression(query)) == query
