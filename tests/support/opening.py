"""A process that dies while it makes or migrates a database."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATABASE = "catalogue.sqlite"
OPEN = """
import sys, trio
from engine.catalogue import open_catalogue

async def main():
    async with open_catalogue(sys.argv[1]):
        pass

trio.run(main)
"""


def opened_until(folder: Path, point: str) -> None:
    """The database in `folder`, an old one where `point` is one of a migration, as kill -9 at that point leaves it."""
    path = folder / DATABASE
    if point.startswith("migrate"):
        connection = sqlite3.connect(path)
        connection.executescript((ROOT / "tests/engine/catalogue/schema-1.sql").read_text())
        connection.close()
        os.sync()
    environ = {**os.environ, "TAGFS_KILL_AT": point}
    killed = subprocess.run([sys.executable, "-c", OPEN, str(path)], env=environ, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
