"""/inbox against a dictionary: whatever is done in whatever order, each good file is added exactly once, with the tags
of where it was closed, and every other one stays where it is, with the reason.

TAGFS_EXAMPLES sets the number of examples (30 by default, for a quick run).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tagfs.vfs import edits
from tagfs.vfs.inbox import CUT_SHORT, Drop
from tests.support.portal import Portal
from tests.support.world import World, open_world

EXAMPLES = int(os.environ.get("TAGFS_EXAMPLES", "30"))

Place = tuple[tuple[str, ...], str]

places = st.tuples(st.sampled_from(((), ("a",), ("b", "a"))), st.sampled_from(("x.txt", "y", "x.part", ".y")))
good = st.booleans()


@dataclass
class File:
    """As the model has it. `number` is that of its URL, None for a bad one."""

    number: int | None
    drop: Drop
    open: bool = False
    cut: bool = False

    @property
    def text(self) -> bytes:
        return b"nothing" if self.number is None else f"https://h.example/{self.number}\n".encode()


@dataclass
class Model:
    files: dict[Place, File] = field(default_factory=dict)
    added: dict[str, frozenset[str]] = field(default_factory=dict)  # name of an item: its tags

    def closed(self, place: Place) -> None:
        """What becomes of a file that is closed, or has just got this name."""
        file, (path, name) = self.files[place], place
        if file.open or name.startswith(".") or name.endswith(".part") or file.cut:
            return
        if file.number is not None:
            self.added[str(file.number)] = frozenset(path)
            del self.files[place]


class InboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model()
        self.numbers = count(1)
        self.orphans: list[Drop] = []  # open, and without a name
        self.portal: Portal[World] = Portal(self._opened)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[World]:
        async with open_world(Path(self.folder.name)) as world:
            yield world

    @property
    def world(self) -> World:
        return self.portal.value

    @initialize()
    def tags(self) -> None:
        for tag in ("a", "b"):
            self.portal.run(self.world.catalogue.create_tag, tag)

    # -- what somebody does ------------------------------------------------------------------------------------

    @rule(place=places, is_good=good, leave_open=st.booleans())
    def write(self, place: Place, is_good: bool, leave_open: bool) -> None:
        """A new file, or a closed one anew, as `cp` does."""
        old = self.model.files.get(place)
        if old is not None and old.open:
            return
        file = File(next(self.numbers) if is_good else None, old.drop if old else None, open=True)  # type: ignore[arg-type]  # set below
        file.drop = self.portal.run(self._write, place, file)
        self.model.files[place] = file
        if not leave_open:
            self._close(place)

    async def _write(self, place: Place, file: File) -> Drop:
        inbox = self.world.context.inbox
        drop = file.drop
        if drop is None:
            directory = await self.world.directory("/".join(("inbox", *place[0])))
            drop = await edits.drop(self.world.context, directory, place[1])
        else:
            await inbox.open(drop, writing=True, truncate=True)
        inbox.write(drop, 0, file.text)
        return drop

    @precondition(lambda self: any(file.open for file in self.model.files.values()))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self._close(data.draw(st.sampled_from([place for place, file in self.model.files.items() if file.open])))

    def _close(self, place: Place) -> None:
        file = self.model.files[place]
        self.portal.run(self._close_drop, file.drop)
        file.open = False
        self.model.closed(place)

    async def _close_drop(self, drop: Drop) -> None:
        self.world.context.inbox.close(drop, writing=True)
        await self.world.context.inbox._settled(drop)

    @precondition(lambda self: self.model.files)
    @rule(data=st.data(), new=places)
    def rename(self, data: st.DataObject, new: Place) -> None:
        source = data.draw(st.sampled_from(list(self.model.files)))
        self.portal.run(self._rename, source, new)
        if source == new:
            return
        other = self.model.files.get(new)
        if other is not None and other.open:
            self.orphans.append(other.drop)
        self.model.files[new] = self.model.files.pop(source)
        self.model.files[new].cut = False
        self.model.closed(new)

    async def _rename(self, source: Place, new: Place) -> None:
        folders = [await self.world.directory("/".join(("inbox", *place[0]))) for place in (source, new)]
        drop = self.model.files[source].drop
        await edits.rename_drop(self.world.context, folders[0], source[1], folders[1], new[1])
        await self.world.context.inbox._settled(drop)

    @precondition(lambda self: self.model.files)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(list(self.model.files)))
        file = self.model.files.pop(place)
        self.portal.run(self._remove, place)
        if file.open:
            self.orphans.append(file.drop)

    async def _remove(self, place: Place) -> None:
        directory = await self.world.directory("/".join(("inbox", *place[0])))
        await edits.unlink(self.world.context, directory, place[1])

    @precondition(lambda self: self.orphans)
    @rule()
    def close_one_without_a_name(self) -> None:
        self.portal.run(self._close_drop, self.orphans.pop())

    @rule()
    def restart(self) -> None:
        for drop in [file.drop for file in self.model.files.values() if file.open] + self.orphans:
            os.close(drop.fd)  # as the end of the process does
        self.portal.close()
        self.portal = Portal(self._opened)
        self.orphans.clear()
        inbox = self.world.context.inbox
        for (path, name), file in self.model.files.items():
            drop = inbox.named(path, name)
            assert drop is not None
            self.portal.run(inbox._settled, drop)
            file.drop, file.cut, file.open = drop, file.cut or file.open, False

    # -- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def each_good_file_was_added_once(self) -> None:
        assert self.portal.run(self._items) == self.model.added

    async def _items(self) -> dict[str, frozenset[str]]:
        rows = await self.world.catalogue.items(list(self.world.index.live))
        found = {row.name: frozenset(self.world.catalogue.tags(row.id)) for row in rows}
        assert len(found) == len(rows)
        return found

    @invariant()
    def every_other_one_stays(self) -> None:
        inbox = self.world.context.inbox
        for path in ((), ("a",), ("b",), ("b", "a")):
            listed = {drop.record.name: drop for drop in inbox.within(path)}
            assert listed.keys() == {name for where, name in self.model.files if where == path}
            for name, drop in listed.items():
                file = self.model.files[path, name]
                assert drop is file.drop
                unready = name.startswith(".") or name.endswith(".part")
                assert drop.state == ("failed" if file.cut or not (file.open or unready) else "writing")
                assert (drop.record.error == CUT_SHORT) == file.cut
                assert Path(inbox._store.path(drop.key)).read_bytes() == file.text

    @invariant()
    def nothing_else_is_on_the_disk(self) -> None:
        assert len(os.listdir(Path(self.folder.name) / "inbox")) == 2 * len(self.model.files)

    def teardown(self) -> None:
        self.portal.close()
        self.folder.cleanup()


TestInbox = InboxMachine.TestCase
TestInbox.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
