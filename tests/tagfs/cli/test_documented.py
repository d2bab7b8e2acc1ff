"""docs/cli.md has a section for each verb, with each of its options, mount options and JSON keys."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tagfs.cli import exits, main, table
from tagfs.config.mount_options import OPTIONS
from tagfs.control.views import (
    BackupView,
    ChangeView,
    ConcernedView,
    DownloadView,
    EmptiedView,
    EventView,
    FaultView,
    ImportView,
    ItemView,
    StatusView,
    TrashView,
    UndoneView,
    VerifyView,
)

TEXT = (Path(__file__).parents[3] / "docs/cli.md").read_text()


def section(title: str) -> str:
    found = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##)", TEXT + "\n##", re.DOTALL | re.MULTILINE)
    assert found, f"docs/cli.md has no section {title}"
    return found[1]


@pytest.mark.parametrize("name", table.ENTRIES)
def test_every_option_of_a_verb_is_documented_and_no_other(name: str) -> None:
    chapter = section(f"tagfs {name}")
    rows = [row for row in chapter.splitlines() if row.startswith("| `-")]
    documented = {option for row in rows for option in re.findall(r"`(--?[\w-]+)`", row.split(" | ")[0])}
    actions = [action for action in main.parser(name)._actions if action.option_strings]
    # What all verbs share is explained once, for all of them.
    declared = {option for action in actions for option in action.option_strings} - {"-h", "--help", "--state"}
    assert documented == declared
    assert f"    tagfs {name}" in chapter


@pytest.mark.parametrize("option", OPTIONS)
def test_every_mount_option_is_documented(option: str) -> None:
    assert re.search(rf"^\| .*`{option}(=[A-Z]+)?`", section("tagfs mount"), re.MULTILINE)


@pytest.mark.parametrize(
    ("title", "view"),
    [
        ("Item", ItemView),
        ("Status", StatusView),
        ("Status", DownloadView),
        ("tagfs watch", EventView),
        ("tagfs import", ImportView),
        ("tagfs log", ChangeView),
        ("tagfs log", ConcernedView),
        ("tagfs undo", UndoneView),
        ("tagfs trash", TrashView),
        ("tagfs trash", EmptiedView),
        ("tagfs backup", BackupView),
        ("tagfs verify", VerifyView),
        ("tagfs verify", FaultView),
    ],
)
def test_every_json_key_is_documented(title: str, view: type) -> None:
    chapter = section(title)
    for field in fields(view):
        assert f"`{field.name}`" in chapter or f'"{field.name}"' in chapter


def test_every_exit_code_is_documented() -> None:
    codes = [value for name, value in vars(exits).items() if name.isupper() and type(value) is int]
    for code in codes:
        assert f"| {code} |" in TEXT


def test_what_is_linked_is_there() -> None:
    anchors = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
