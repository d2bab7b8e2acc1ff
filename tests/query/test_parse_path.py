"""The path spelling: each rule of its grammar by example."""

from __future__ import annotations

import pytest

from query.ast import And, Compare, End, Expr, Not, Op, Or, Query, Range, Tag
from query.parse import Complete, Expects, Unfinished, parse_path

a, b, c, d = map(Tag, "abcd")


def parsed(path: str) -> Complete | Unfinished:
    return parse_path(path.split("/") if path else ())


@pytest.mark.parametrize(
    ("path", "expr"),
    [
        ("a", a),
        # adjacency is AND
        ("a/b", And((a, b))),
        ("a/a", And((a, a))),
        # + is OR and binds weaker
        ("a/+/b", Or((a, b))),
        ("a/b/+/c", Or((And((a, b)), c))),
        ("a/b/+/c/-/d", Or((And((a, b)), And((c, Not(d)))))),
        ("a/+/b/+/c", Or((a, b, c))),
        # - negates the next operand
        ("-/a", Not(a)),
        ("-a", Not(a)),
        ("a/-/b/c", And((a, Not(b), c))),
        ("-year:2000", Not(Compare("year", Op.EQ, "2000"))),
        # a group is any of its terms
        ("{/a/b/}", Or((a, b))),
        ("{/a/}", Or((a,))),
        ("c/{/a/b/}/d", And((c, Or((a, b)), d))),
        ("a/-/{/b/c/}", And((a, Not(Or((b, c)))))),
        ("a/-{/b/c/}", And((a, Not(Or((b, c)))))),
        ("{/year:/gt/2000/a/}", Or((Compare("year", Op.GT, "2000"), a))),
        # a list is a group in one component
        ("a,b", Or((a, b))),
        ("-a,b", Not(Or((a, b)))),
        ("-/a,b", Not(Or((a, b)))),
        ("a,year:2000,x:1..2", Or((a, Compare("year", Op.EQ, "2000"), Range("x", "1", "2")))),
        ("{/a,b/c/}", Or((a, b, c))),
        ("{/c/a,b/}", Or((c, a, b))),
        # key:value, the first colon splits
        ("year:2000", Compare("year", Op.EQ, "2000")),
        ("url:a:b", Compare("url", Op.EQ, "a:b")),
        ("x:y:", Compare("x", Op.EQ, "y:")),
        # ranges
        ("year:2000..2010", Range("year", "2000", "2010")),
        ("year:2000..", Range("year", "2000", None)),
        ("year:..2010", Range("year", None, "2010")),
        ("size:1G..", Range("size", "1G", None)),
        ("x:1.5..2.5", Range("x", "1.5", "2.5")),
        ("x:1...5", Range("x", "1", ".5")),
        ("added:7d..", Range("added", "7d", None)),
        # operators, and values taken as they stand
        *((f"year:/{op}/2000", Compare("year", op, "2000")) for op in Op),
        ("year:/2000", Compare("year", Op.EQ, "2000")),
        ("size:/has/00", Compare("size", Op.HAS, "00")),
        ("added:/has/-23T", Compare("added", Op.HAS, "-23T")),
        ("state:/has/ing", Compare("state", Op.HAS, "ing")),
        ("year:/eq/gt", Compare("year", Op.EQ, "gt")),
        ("year:/gt/gt", Compare("year", Op.GT, "gt")),
        ("name:/+", Compare("name", Op.EQ, "+")),
        ("name:/-rf", Compare("name", Op.EQ, "-rf")),
        ("name:/a,b/c", And((Compare("name", Op.EQ, "a,b"), c))),
        ("title:/wait..what", Compare("title", Op.EQ, "wait..what")),
        # escapes, in the values of built-in keys alone
        ("type:video%2Fx-matroska", Compare("type", Op.EQ, "video/x-matroska")),
        ("type:/has/%2fx", Compare("type", Op.HAS, "/x")),
        ("name:/has/%2E", Compare("name", Op.HAS, ".")),
        ("name:a%252Fb%20c%", Compare("name", Op.EQ, "a%2Fb%20c%")),
        ("note:a%2Fb", Compare("note", Op.EQ, "a%2Fb")),
    ],
)
def test_expressions(path: str, expr: Expr) -> None:
    assert parsed(path) == Complete(Query(expr))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("a/@", Query(a, End.ITEMS)),
        ("a/@@", Query(a, End.LITERAL)),
        ("a/+/b/@", Query(Or((a, b)), End.ITEMS)),
        ("-/a/@@", Query(Not(a), End.LITERAL)),
    ],
)
def test_ends(path: str, query: Query) -> None:
    assert parsed(path) == Complete(query)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "h.264",
            "c++",
            "a@b",
            "a@",
            "and",
            "or",
            "not",
            "AND",
            "has",
            "eq",
            "gt",
            "(x)",
            "a b",
            " ",
            '"quoted"',
            "don't",
        ),
        *(
            "a=b",
            "<3",
            "!",
            "a..b",
            "100%2F",
            "a-b",
            "a+b",
            "a{b}",
            "a~1",
            "*",
            "?",
            "\\",
            "ü",
            "日本",
            "\u202e",
            "🎬",
            "x" * 254,
        ),
    ],
)
def test_every_legal_name_is_a_tag_as_it_stands(name: str) -> None:
    assert parse_path([name]) == Complete(Query(Tag(name)))
    assert parse_path(["-" + name]) == Complete(Query(Not(Tag(name))))
    assert parse_path(["-", name]) == Complete(Query(Not(Tag(name))))
    assert parse_path([name, "+", name]) == Complete(Query(Or((Tag(name), Tag(name)))))
    assert parse_path(["{", name, "a", "}"]) == Complete(Query(Or((Tag(name), a))))


def test_names_are_read_in_normal_form_c() -> None:
    assert parse_path(["u\u0308"]) == parse_path(["\u00fc"])
    assert parse_path(["x:u\u0308"]) == parse_path(["x:\u00fc"])
    assert parse_path(["x:", "has", "u\u0308"]) == parse_path(["x:", "has", "\u00fc"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", Unfinished(Expects.OPERAND)),
        ("-", Unfinished(Expects.OPERAND, negated=True)),
        ("a/+", Unfinished(Expects.OPERAND, before=a)),
        ("a/b/+", Unfinished(Expects.OPERAND, before=And((a, b)))),
        ("a/+/b/+", Unfinished(Expects.OPERAND, before=Or((a, b)))),
        ("a/-", Unfinished(Expects.OPERAND, before=a, branch=a, negated=True)),
        ("a/+/b/c/-", Unfinished(Expects.OPERAND, before=Or((a, And((b, c)))), branch=And((b, c)), negated=True)),
        ("a/+/-", Unfinished(Expects.OPERAND, before=a, negated=True)),
        ("{", Unfinished(Expects.TERM, group=())),
        ("{/b", Unfinished(Expects.TERM, group=(b,))),
        ("{/b,c", Unfinished(Expects.TERM, group=(b, c))),
        ("a/-/{/b", Unfinished(Expects.TERM, before=a, branch=a, negated=True, group=(b,))),
        ("year:", Unfinished(Expects.VALUE, key="year")),
        ("year:/gt", Unfinished(Expects.VALUE, key="year", op=Op.GT)),
        ("-year:", Unfinished(Expects.VALUE, negated=True, key="year")),
        ("a/year:/has", Unfinished(Expects.VALUE, before=a, branch=a, key="year", op=Op.HAS)),
        ("{/year:", Unfinished(Expects.VALUE, group=(), key="year")),
        ("a/+/{/b/year:/lt", Unfinished(Expects.VALUE, before=a, group=(b,), key="year", op=Op.LT)),
    ],
)
def test_unfinished(path: str, expected: Unfinished) -> None:
    assert parsed(path) == expected
