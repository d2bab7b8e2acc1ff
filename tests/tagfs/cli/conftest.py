"""A state directory whose daemon is `MemoryVerbs`, and commands run against it."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tagfs.cli import main
from tagfs.daemon.state import DaemonInfo, write_info
from tests.support.memory_verbs import MemoryVerbs, served


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Tagfs = Callable[..., Ran]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    monkeypatch.setenv("TAGFS_STATE", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TAGFS_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


@pytest.fixture
def verbs(state: Path) -> Iterator[MemoryVerbs]:
    socket = str(state / "control.sock")
    write_info(str(state), DaemonInfo(os.getpid(), socket, "/mnt", "0.1.0"))
    verbs = MemoryVerbs(str(state))
    with served(socket, verbs):
        yield verbs


@pytest.fixture
def tagfs(state: Path, capsys: pytest.CaptureFixture[str]) -> Tagfs:
    def run(*arguments: str) -> Ran:
        try:
            code = main.run(arguments)
        except SystemExit as exit:  # argparse
            assert isinstance(exit.code, int)
            code = exit.code
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run
