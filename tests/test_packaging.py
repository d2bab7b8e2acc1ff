"""What pip installs: the wheel is built, installed into an empty prefix, and everything is where it is looked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tagfs.cli import main, table

ROOT = Path(__file__).parents[1]
SHARED = {
    "bin/tagfs",
    "bin/mount.tagfs",
    "share/man/man1/tagfs.1",
    "share/man/man5/tagfs.5",
    "share/man/man7/tagfs-queries.7",
    "share/man/man8/mount.tagfs.8",
    "share/systemd/user/tagfs@.service",
    "share/bash-completion/completions/tagfs",
    "share/zsh/site-functions/_tagfs",
    "share/fish/vendor_completions.d/tagfs.fish",
}


def run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packaging")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist")
    (wheel,) = (folder / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"]
    run(*pip, "--ignore-installed", "--no-warn-script-location", "--prefix", folder / "prefix", wheel)
    return folder / "prefix"


def test_everything_is_where_it_is_looked_for(prefix: Path) -> None:
    found = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    assert {path for path in found if path.startswith(("bin/", "share/"))} == SHARED
    for script in ("bin/tagfs", "bin/mount.tagfs"):
        assert os.access(prefix / script, os.X_OK)
    # `tagfs completion` and `tagfs unit` print what lies in the package itself.
    packaged = {path.split("site-packages/")[1] for path in found if "/tagfs/share/" in path}
    assert packaged == {f"tagfs/share/{path.name}" for path in (ROOT / "tagfs/share").iterdir()}


def manual(prefix: Path) -> list[Path]:
    return sorted((prefix / "share/man").rglob("*.[1-8]"))


def test_groff_and_mandoc_have_nothing_to_say_about_the_manual(prefix: Path) -> None:
    assert shutil.which("groff"), "install groff-base: make test does"
    for page in manual(prefix):
        assert run("groff", "-man", "-Kutf8", "-ww", "-Tutf8", "-z", page) == ""
        if shutil.which("mandoc"):
            said = subprocess.run(
                ["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True, check=False
            ).stdout
            assert [line for line in said.splitlines() if "missing date" not in line] == []


def text_of(page: Path) -> str:
    """As a terminal shows it, without emphasis, each run of blanks one."""
    shown = run("groff", "-man", "-Kutf8", "-Tascii", "-P-cbou", "-rHY=0", "-rLL=2000n", page)
    return re.sub(r"\s+", " ", shown)


def test_the_manual_explains_every_verb_and_every_option(prefix: Path) -> None:
    text = text_of(prefix / "share/man/man1/tagfs.1")
    assert "tagfs - downloads are files" in text
    for verb in table.ENTRIES:
        assert f"tagfs {verb}" in text
        for action in main.parser(verb)._actions:
            for option in set(action.option_strings) - {"-h", "--help"}:
                assert option in text, (verb, option)


def test_the_manual_says_what_the_documents_say(prefix: Path) -> None:
    """Words of all kinds of blocks, and nothing of Markdown left over."""
    pages = {page.name: text_of(page) for page in manual(prefix)}
    assert "[TRANSFER]" in pages["tagfs.5"] and "(type: whole number; default: 8; unit: downloads)" in pages["tagfs.5"]
    assert "movie/1080p/-/watched" in pages["tagfs-queries.7"]
    assert "mount -t tagfs DEVICE DIR" in pages["mount.tagfs.8"] and "uid=USER, gid=GROUP" in pages["mount.tagfs.8"]
    for name, text in pages.items():
        assert not re.search(r"\*\*\w|\]\([^)]*\.md|\|---|```", text), name
        assert "NAME" in text and "SYNOPSIS" in text and "SEE ALSO" in text
