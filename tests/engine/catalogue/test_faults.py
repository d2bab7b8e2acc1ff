"""kill -9, a full disk, a disk that fails: what was acknowledged is there, and nobody is left waiting."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.catalogue.transaction import Transaction
from engine.errors import StoreFull
from engine.ports import Edit, FolderFile, NewItem
from engine.types import Item, ItemId, State
from tests.support.catalogue import whole

CHILD = [sys.executable, "-m", "tests.support.catalogue_child"]


def spawn(*arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen([*prefix, *CHILD, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kill_after", [1, 7, 60])
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, kill_after: int) -> None:
    path = str(tmp_path / "catalogue.db")
    with spawn("tag", path) as child:
        assert child.stdout is not None
        acknowledged = [next(child.stdout).strip() for _ in range(kill_after)]
        child.kill()
        acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
    async with open_catalogue(path) as catalogue:
        assert await catalogue.check() == []
        for line in acknowledged:
            name, tag = line.split()
            (item,) = catalogue.named(name)
            assert tag in catalogue.tags(item)
        records = await catalogue.log(limit=1_000_000)
        for item in {item for record in records for item in record.items}:
            told = [tag for record in records if item in record.items for tag in record.what.get("add", ())]
            assert sorted(told) == list(catalogue.tags(ItemId(item)))  # the history tells of all that is there


async def test_a_full_disk_fails_the_caller_and_not_the_service(tmp_path: Path) -> None:
    async with open_catalogue(str(tmp_path / "catalogue.db")) as catalogue:
        await limit_pages(catalogue, 60)
        added: list[Item] = []
        with pytest.raises(StoreFull):
            while True:
                added.append(await catalogue.add(whole(f"f{len(added)}", content="x" * 10)))
        assert added
        await limit_pages(catalogue, 1_000_000)
        item = await catalogue.edit(added[-1].id, Edit(add=["again"]))
        assert catalogue.tags(item.id) == ("again",)
        assert await catalogue.check() == []


async def limit_pages(catalogue: SqliteCatalogue, pages: int) -> None:
    """As if the disk had only so much: SQLite raises the SQLITE_FULL that ENOSPC gives."""

    def limit(transaction: Transaction) -> None:
        transaction.connection.execute("PRAGMA max_page_count = " + str(pages)).fetchall()

    await catalogue._write(limit)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_a_full_file_system(tmp_path: Path) -> None:
    private = ("unshare", "--map-root-user", "--mount")
    if subprocess.run(
        [*private, "mount", "-t", "tmpfs", "none", tmp_path], check=False, capture_output=True
    ).returncode:
        pytest.skip("needs user namespaces")
    with spawn("fill", str(tmp_path), prefix=private) as child:
        assert child.stdout is not None
        assert child.stdout.read().split() == ["full", "freed", "sound"]
    assert child.returncode == 0


def test_a_disk_that_fails_ends_the_service(tmp_path: Path) -> None:
    """A file size limit makes write(2) fail in a way that no freed space cures."""
    with spawn("fail", str(tmp_path / "catalogue.db")) as child:
        assert child.stdout is not None
        lines = child.stdout.read().split()
    assert lines == ["caller", "caller", "service"]


async def test_a_damaged_database_fails_its_check(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    async with open_catalogue(str(path)) as catalogue:
        await catalogue.add_many([whole(f"f{number}", "a") for number in range(2_000)])
    with path.open("r+b") as file:
        file.seek(30 * 4096)
        file.write(b"\xff" * 8 * 4096)
    async with open_catalogue(str(path)) as catalogue:
        assert await catalogue.check() != []


DAMAGE = {
    "outside of the range": (
        "INSERT INTO item (id, name, kind, state, mtime_ns, mtime_given, added_ns, mode)"
        " VALUES (7, x'61', 'folder', 'complete', 0, 0, 0, 0)"
    ),
    "its blob has": "UPDATE blob SET size = 99",
    "still has a download": (
        "INSERT INTO download (item, staging, ranges, digests, name_fixed, attempts, options)"
        " SELECT min(id), 's', '', '{}', 0, 0, '{}' FROM item"
    ),
    "no file can have": "UPDATE item SET name = x'612f62'",
    "in the trash by itself and with": "UPDATE item SET trashed_ns = 1 WHERE name IN (x'666f6c646572', x'696e')",
    "which is no folder": "UPDATE item SET parent = (SELECT id FROM item WHERE name = x'6f6e65') WHERE name = x'696e'",
    "counts": "UPDATE tag SET items = 5",
    "not the pair": "UPDATE tag SET value = 'other' WHERE name = 'year:2000'",
    "lower-case hex": "UPDATE blob SET sha256 = upper(sha256)",
    "foreign_key_check": "DELETE FROM tag WHERE name = 'loose'",
}


@pytest.mark.parametrize(("sentence", "statement"), DAMAGE.items())
async def test_each_rule_of_the_check_finds_its_fault(tmp_path: Path, sentence: str, statement: str) -> None:
    path = tmp_path / "catalogue.db"
    async with open_catalogue(str(path)) as catalogue:
        await catalogue.add_many([whole("one", "a", "year:2000"), whole("two", "loose")])
        folder = await catalogue.add(NewItem("folder", state=State.QUEUED))
        await catalogue.unpack(folder.id, [FolderFile(("in",), 1)])
        assert await catalogue.check() == []
    connection = sqlite3.connect(path, isolation_level=None)  # foreign keys are off here
    connection.execute(statement)
    connection.close()
    async with open_catalogue(str(path)) as catalogue:
        faults = await catalogue.check()
    assert any(sentence in fault for fault in faults), faults
