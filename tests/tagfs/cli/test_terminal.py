"""The same commands on a terminal: bars, and still nothing raw."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.test_main import command, environment


def on_terminal(arguments: list[str], state: Path) -> tuple[int, str]:
    """The exit code, and all that the terminal was sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env={**environment(state), "TERM": "xterm"}
    )
    os.close(theirs)
    sent = b""
    try:
        while chunk := os.read(ours, 65536):
            sent += chunk
    except OSError:  # EIO: the last one who had it open is gone
        pass
    finally:
        os.close(ours)
    return process.wait(), sent.decode()


def test_following_shows_bars(state: Path, verbs: MemoryVerbs) -> None:
    verbs.frames = [verbs.frame(500), verbs.frame(1000, "complete")]
    code, sent = on_terminal(["status", "-f", "--interval", "0.15"], state)
    assert code == 0
    assert "50%" in sent and "100%" in sent and "complete" in sent and "a.iso" in sent


@pytest.mark.parametrize("arguments", [["verify"], ["import", "\x1b]0;evil\x07[red]"]])
def test_long_work_shows_a_bar_that_leaves_nothing_behind(
    state: Path, verbs: MemoryVerbs, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "\x1b]0;evil\x07[red]").touch()
    code, sent = on_terminal(arguments, state)
    assert code == 0 and " of 1 item, " in sent
    assert "\x1b]0" not in sent
