"""Which rules can be, and the sentence for one that cannot."""

from __future__ import annotations

import pytest

from engine.suggest.rules import BadRule, RuleText, check_keys, understand

GOOD = RuleText("type:video and host:example.org", ["movie", "year:1979"])


def test_rules_are_numbered_as_they_stand() -> None:
    first, second = understand([GOOD, RuleText("movie", accept=["year"])], "f")
    assert (first.number, first.tags, first.accept) == (1, ("movie", "year:1979"), frozenset())
    assert (second.number, second.match, second.accept) == (2, "movie", {"year"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (RuleText("a and", ["b"]), "f: rule 2: match cannot be understood: "),
        (RuleText("state:lost", ["b"]), "f: rule 2: match cannot be understood: "),
        (RuleText("a", ["x,y"]), "f: rule 2: the tag name 'x,y' contains ','."),
        (RuleText("a", ["type:video"]), "f: rule 2: 'type:video' cannot be set"),
        (RuleText("a", accept=["yaer"]), "f: rule 2: accept knows title, year, "),
        (RuleText("a"), "f: rule 2: it has neither tags nor accept"),
    ],
)
def test_a_rule_that_cannot_be_is_named(text: RuleText, sentence: str) -> None:
    with pytest.raises(BadRule) as caught:
        understand([GOOD, text], "f")
    assert str(caught.value).startswith(sentence)


def test_a_key_that_no_item_can_have_is_a_mistake() -> None:
    rules = understand([GOOD, RuleText("tipe:video", ["x"])], "f")
    with pytest.raises(BadRule, match=r"f: rule 2: no item has the key 'tipe'; did you mean type\?"):
        check_keys(rules, [], "f")
    check_keys(rules, ["tipe"], "f")
    check_keys(understand([RuleText("kind:film and year:1979", ["kind:film"])], "f"), [], "f")  # set by the rule itself
