"""docs/configuration.md has one row for each key, saying exactly what the declaration says."""

from pathlib import Path

import pytest

from tagfs.config.kinds import Key, keys
from tagfs.config.settings import RULES, SECTIONS, Rule

DOCUMENT = Path(__file__).parents[3] / "docs/configuration.md"


def row(key: Key) -> str:
    default = key.shown if "`" in key.shown or key.shown in ("unset", "empty") else f"`{key.shown}`"
    return f"| `{key.name}` | {key.type} | {default} | {key.unit} | {key.text} |"


@pytest.mark.parametrize("section", [*SECTIONS, RULES])
def test_each_section_documents_exactly_its_keys(section: str) -> None:
    text = DOCUMENT.read_text()
    title = f"## [[{section}]]" if section == RULES else f"## [{section}]"
    assert title in text
    chapter = text.split(title)[1].split("\n## ")[0]
    rows = [line for line in chapter.splitlines() if line.startswith("| `")]
    assert rows == [row(key) for key in keys(Rule if section == RULES else SECTIONS[section])]
