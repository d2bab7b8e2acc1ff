"""A kernel made of two dictionaries: names and attributes as it would cache them, driven through `Operations`.

It does what Linux does with the answers: caches what it may, drops or moves names itself for rm, mv and the like, and
forgets what it is told to. `stale` asks again for everything that it still believes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pyfuse3
from pyroaring import BitMap

from tagfs.mount.answers import Answers
from tagfs.mount.ops import Operations
from tagfs.vfs import numbers
from tagfs.vfs.nodes.tags import TagsRoot
from tagfs.vfs.settling import NO_ITEMS
from tagfs.vfs.tree import Directory
from tests.support.world import World

ROOT = pyfuse3.ROOT_INODE
CONTEXT: Any = SimpleNamespace(pid=0)  # of nobody that /proc knows


class Kernel:
    """`names`: (directory, name) -> node id; `attributes`: node id -> what stat shows."""

    def __init__(self, world: World) -> None:
        tags = world.context.nodes[numbers.TAGS]
        assert isinstance(tags, TagsRoot)
        self.names: dict[tuple[int, bytes], int] = {}
        self.attributes: dict[int, tuple[object, ...]] = {}
        self.opened: Callable[[], BitMap] = BitMap
        self._used: dict[tuple[int, bytes], int] = {}  # names by which files were opened, and the handles
        self._held: set[int] = set()
        self._deferred: list[tuple[int, str]] = []
        self.ops = Operations(world.context, tags, self, Answers(umask=0o022))
        world.views.connect(self)

    # -- tagfs.vfs.settling.Kernel, and `holding` of the Invalidator ------------------------------------------------

    def in_use(self) -> BitMap:
        return self.opened()

    async def forget(self, names: Sequence[tuple[int, str]], inodes: Sequence[int], items: BitMap = NO_ITEMS) -> None:
        for inode in (*inodes, *items):
            self.attributes.pop(inode, None)
        for directory, name in names:
            if directory in self._held:
                self._deferred.append((directory, name))
            else:
                self._drop(directory, _bytes(name))

    def grow(self, inode: int, size: int) -> bool:
        """Sizes of open files are not modelled."""
        return False

    def forget_attributes(self, inodes: Iterable[int]) -> None:
        for inode in inodes:
            self.attributes.pop(inode, None)

    @contextmanager
    def holding(self, *directories: int, guard: bool = False) -> Iterator[None]:
        self._held.update(directories)
        try:
            yield
        finally:
            self._held.difference_update(directories)

    def keep(self, directory: int, name: str) -> None:
        self._deferred = [one for one in self._deferred if one != (directory, name)]

    def _drop(self, directory: int, name: bytes) -> None:
        """With all below it that is not in use: such a name is there again when its directory is looked up."""
        child = self.names.pop((directory, name), None)
        if child is not None and numbers.item_of(child) is None:
            for parent, below in [key for key in self.names if key[0] == child]:
                if (parent, below) not in self._used:
                    self._drop(parent, below)

    def _after(self) -> None:
        """The messages that waited for the operation to end."""
        for directory, name in self._deferred:
            self._drop(directory, _bytes(name))
        self._deferred.clear()

    def _keep(self, directory: int, name: bytes, entry: pyfuse3.EntryAttributes) -> int:
        number = int(entry.st_ino)
        if entry.entry_timeout:
            self.names[directory, name] = number
        if entry.attr_timeout:
            self.attributes[number] = _shown(entry)
        return number

    def _changed(self, *inodes: int) -> None:
        for inode in inodes:
            self.attributes.pop(inode, None)

    # -- system calls --------------------------------------------------------------------------------------------

    async def lookup(self, directory: int, name: str) -> int:
        known = self.names.get((directory, _bytes(name)))
        if known is not None:
            return known
        return self._keep(directory, _bytes(name), await self.ops.lookup(directory, _bytes(name), CONTEXT))

    async def walk(self, path: str) -> int:
        number: int = ROOT
        for name in filter(None, path.split("/")):
            number = await self.lookup(number, name)
        return number

    async def stat(self, number: int) -> None:
        if number not in self.attributes:
            entry = await self.ops.getattr(number, CONTEXT)
            if entry.attr_timeout:
                self.attributes[number] = _shown(entry)

    async def list(self, directory: int) -> dict[bytes, int]:
        """readdirplus: the kernel keeps the entries as if each had been looked up."""
        token = Token(self, directory, {})
        handle = await self.ops.opendir(directory, CONTEXT)
        await self.ops.readdir(handle, 0, token)
        await self.ops.releasedir(handle)
        return token.found

    async def create(self, directory: int, name: str) -> int:
        handle, entry = await self.ops.create(directory, _bytes(name), 0o644, 0, CONTEXT)
        number = self._keep(directory, _bytes(name), entry)
        self._changed(directory)
        self._after()
        await self.ops.write(handle.fh, 0, _bytes(name))
        await self.ops.release(handle.fh)
        return number

    async def open(self, directory: int, name: str) -> None:
        """And keep it open."""
        number = await self.lookup(directory, name)
        if (directory, _bytes(name)) not in self._used and numbers.item_of(number) is not None:
            opened = await self.ops.open(number, os.O_RDONLY, CONTEXT)
            self._used[directory, _bytes(name)] = opened.fh

    async def close_all(self) -> None:
        while self._used:
            await self.ops.release(self._used.popitem()[1])

    async def mkdir(self, directory: int, name: str) -> None:
        self._keep(directory, _bytes(name), await self.ops.mkdir(directory, _bytes(name), 0o755, CONTEXT))
        self._changed(directory)
        self._after()

    async def link(self, number: int, directory: int, name: str) -> None:
        self._keep(directory, _bytes(name), await self.ops.link(number, directory, _bytes(name), CONTEXT))
        self._changed(directory, number)
        self._after()

    async def symlink(self, directory: int, name: str, target: str) -> None:
        self._keep(directory, _bytes(name), await self.ops.symlink(directory, _bytes(name), _bytes(target), CONTEXT))
        self._changed(directory)
        self._after()

    async def unlink(self, directory: int, name: str) -> None:
        number = await self.lookup(directory, name)
        await self.ops.unlink(directory, _bytes(name), CONTEXT)
        self._drop(directory, _bytes(name))
        self._changed(directory, number)
        self._after()

    async def rmdir(self, directory: int, name: str) -> None:
        await self.lookup(directory, name)
        await self.ops.rmdir(directory, _bytes(name), CONTEXT)
        self._drop(directory, _bytes(name))
        self._changed(directory)
        self._after()

    async def exchange(self, directory: int, name: str, other_directory: int, other: str) -> None:
        one, two = (directory, _bytes(name)), (other_directory, _bytes(other))
        numbers_ = await self.lookup(directory, name), await self.lookup(other_directory, other)
        if numbers_[0] == numbers_[1]:
            return  # by POSIX
        await self.ops.rename(*one, *two, pyfuse3.RENAME_EXCHANGE, CONTEXT)
        kept = self.names.pop(one, None), self.names.pop(two, None)
        for key, number in ((two, kept[0]), (one, kept[1])):
            if number is not None:
                self.names[key] = number
        self._changed(directory, other_directory, *numbers_)
        self._after()

    async def rename(self, old_directory: int, old: str, new_directory: int, new: str) -> None:
        number = await self.lookup(old_directory, old)
        there = None
        try:
            there = await self.lookup(new_directory, new)
        except pyfuse3.FUSEError as error:
            if error.errno != errno.ENOENT:
                raise
        if there == number:
            return  # by POSIX
        await self.ops.rename(old_directory, _bytes(old), new_directory, _bytes(new), 0, CONTEXT)
        kept = self.names.pop((old_directory, _bytes(old)), None)
        self._drop(new_directory, _bytes(new))
        if kept is not None:
            self.names[new_directory, _bytes(new)] = kept
        self._changed(old_directory, new_directory, number)
        self._after()

    # -- the check -----------------------------------------------------------------------------------------------

    async def stale(self) -> list[str]:
        """What the kernel believes and what is not so."""
        wrong: list[str] = []
        for (directory, name), number in list(self.names.items()):
            try:
                entry = await self.ops.lookup(directory, name, CONTEXT)
            except pyfuse3.FUSEError as error:
                wrong.append(f"{self._path(directory, name)} is there, but asked again: {error}")
                continue
            if int(entry.st_ino) != number and not self._are_alike(int(entry.st_ino), number):
                wrong.append(f"{self._path(directory, name)} is {number}, but asked again {entry.st_ino}")
        for number, shown in list(self.attributes.items()):
            fresh = _shown(await self.ops.getattr(number, CONTEXT))
            if fresh[1:] != shown[1:]:
                wrong.append(f"{number} has {shown}, but asked again {fresh}")
        return wrong

    def _are_alike(self, one: int, other: int) -> bool:
        """Two directories of one path: where a tag was merged into another one, or replaced it."""
        found = [self.ops.inodes.node(number) for number in (one, other)]
        return all(isinstance(node, Directory) for node in found) and len({node.location for node in found}) == 1

    def _path(self, directory: int, name: bytes) -> str:
        node = self.ops.inodes.node(directory)
        return f"{getattr(node, 'location', directory)}/{name!r}"


@dataclass
class Token:
    """Stands for pyfuse3's buffer of a readdirplus."""

    kernel: Kernel
    directory: int
    found: dict[bytes, int]


def readdir_reply(token: Token, name: bytes, entry: pyfuse3.EntryAttributes, next_id: int) -> bool:
    """In place of pyfuse3's: hands the entry to the kernel above. For `monkeypatch.setattr(pyfuse3, ...)`."""
    token.found[name] = token.kernel._keep(token.directory, name, entry)
    return True


def _shown(entry: pyfuse3.EntryAttributes) -> tuple[object, ...]:
    return (entry.st_ino, entry.st_mode, entry.st_nlink, entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
