"""Making the kernel forget. Implements `tagfs.vfs.settling.Kernel`.

Forgetting an attribute takes no lock and happens on the loop. Forgetting a name takes the lock of its directory in the
kernel, which a running operation there holds until we answer it, so it happens in threads, and:

- a directory that the operation holds which made the change is not waited for: the kernel drops or moves the name
  itself, and the message follows as soon as the operation has ended. Observers settle in the context of who asked for
  the change, by which we know;
- where a tag was renamed or removed, these are names of directories, such as `KEY:..` beside it: nobody walks by until
  they are forgotten (`passing`);
- everything else is waited for, so that the change is visible everywhere when the call that made it returns, but not
  longer than PATIENCE while all that is left waits for locks. The one case known to need it: `rm a/f` has locked `a`
  and waits in the kernel for f, which a setxattr that waits for us has locked. We cannot see the rm yet; giving way
  lets both go on. A thread that only waits for its turn, on a busy machine, waits for no lock: the kernel says so; and
  a lock of an operation that runs and waits for nobody is let go, be it when the disk has written what it changes.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import chain
from typing import Final

import pyfuse3
import trio
from pyroaring import BitMap

from tagfs.mount.passing import Passing
from tagfs.vfs.settling import NO_ITEMS

log = logging.getLogger(__name__)

PATIENCE: Final = 0.1  # seconds without progress, after which it is looked at why
LONGEST: Final = 5.0  # seconds without progress, whatever the reason
THREADS: Final = 16
NOWHERE: Final = 0  # no directory's number
_GONE: Final = frozenset({errno.ENOENT, errno.EBADF, errno.ENODEV, errno.ENOTCONN})  # the node, or the mount
AT_ONCE: Final = 1000  # attributes that are forgotten before other tasks get a turn: some 5 ms


@dataclass(slots=True, eq=False)
class Holding:
    """The directories of one operation. Tasks that it has started inherit it, and outlive it. `waits`: for names that
    are to be forgotten, so many times."""

    directories: frozenset[int]
    ended: bool = False
    waits: int = 0


_own: ContextVar[Holding | None] = ContextVar("own", default=None)


class Batch:
    """Names that are to be forgotten together, by directory. Threads take one directory after the other, so that a busy
    one holds up nobody but its own thread; 2,000 directories are not 2,000 tasks."""

    def __init__(self, names: Iterable[tuple[int, str]]) -> None:
        self._todo: deque[tuple[int, list[bytes]]] = deque()
        by_parent: dict[int, list[bytes]] = {}
        for parent, name in names:
            by_parent.setdefault(parent, []).append(name.encode("utf-8", "surrogateescape"))
        self._todo.extend(by_parent.items())
        self._lock = threading.Lock()
        self._at_work: dict[int, int] = {}  # native ids of the threads, and the directories that they are at
        self.left = sum(map(len, by_parent.values()))
        self.threads = min(THREADS, len(by_parent))

    def work(self) -> None:
        """In a worker thread: until nothing is left to take."""
        me = threading.get_native_id()
        with self._lock:
            self._at_work[me] = NOWHERE
        try:
            self._take(me)
        finally:
            with self._lock:
                del self._at_work[me]

    def at_work(self) -> int:
        """How many threads are."""
        return len(self._at_work)

    def is_held_up(self, *, room: bool, busy: AbstractSet[int]) -> bool:
        """Whether nothing is left but to wait for locks of the kernel, in directories that are not `busy`. `room`:
        further threads may begin. Instant."""
        with self._lock:
            threads = dict(self._at_work)
        if not self.left or (room and (self._todo or not threads)) or not busy.isdisjoint(threads.values()):
            return False
        return all(map(_waits_for_lock, threads))

    def _take(self, me: int) -> None:
        while self._todo:
            try:
                parent, names = self._todo.popleft()
            except IndexError:  # another thread was quicker
                return
            self._at_work[me] = parent
            for name in names:
                _forget_name(parent, name)
                with self._lock:
                    self.left -= 1


class Invalidator:
    """State: which directories our running operations hold, and how many messages are under way.

    `told` are the items that the kernel may know, and whoever answers it adds to them; `passing` is for him to look at.
    `opened` says which items are open; set by whoever opens them."""

    def __init__(self, told: BitMap | None = None, passing: Passing | None = None) -> None:
        self._told = BitMap() if told is None else told
        self._passing = Passing() if passing is None else passing
        self.opened: Callable[[], BitMap] = BitMap
        self._held: Counter[int] = Counter()
        self._holdings: set[Holding] = set()
        self._deferred: dict[int, dict[str, None]] = {}
        self._limiter = trio.CapacityLimiter(THREADS)
        self._batches: set[Batch] = set()
        self._nursery: trio.Nursery | None = None
        self._open = False
        self.late = 0  # names that were not forgotten in time

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The service; must run while the mount does, and end before `pyfuse3.close`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._open = False
                self._nursery = None

    def open(self) -> None:
        """The kernel has introduced itself (FUSE_INIT). Before that it has cached nothing, and would answer ENOSYS."""
        self._open = True

    @contextmanager
    def holding(self, *directories: int, guard: bool = False) -> Iterator[None]:
        """While an operation runs, in this task, for which the kernel has locked `directories`.

        `guard`: nobody walks by afterwards until names in them are forgotten."""
        self._held.update(directories)
        outer = _own.get()
        holding = Holding(frozenset(directories) | (outer.directories if outer else frozenset()))
        token = _own.set(holding)
        self._holdings.add(holding)
        try:
            with self._passing.guarding(directories if guard else ()):
                yield
        finally:
            _own.reset(token)
            holding.ended = True
            self._holdings.remove(holding)
            self._held.subtract(directories)
            for directory in directories:
                if self._held[directory] <= 0:
                    del self._held[directory]
                    self._forget_deferred(directory, guard=guard)

    def in_use(self) -> BitMap:
        return self.opened()

    async def forget(self, names: Sequence[tuple[int, str]], inodes: Sequence[int], items: BitMap = NO_ITEMS) -> None:
        if not self._open or self._nursery is None:
            return
        for number, inode in enumerate(chain(inodes, items & self._told)):
            if number % AT_ONCE == AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            _forget_attributes(inode)
        waited: list[tuple[int, str]] = []
        own = _own.get()
        for parent, name in names:
            if own is not None and not own.ended and parent in own.directories:
                self._deferred.setdefault(parent, {})[name] = None
            else:
                waited.append((parent, name))
        if waited:
            done, batch = trio.Event(), Batch(waited)
            self._nursery.start_soon(self._work, batch, done)
            if not await self._wait(batch, done, own):
                self.late += 1
                log.info("the kernel is busy with %d of %d names", batch.left, len(waited))

    async def _wait(self, batch: Batch, done: trio.Event, own: Holding | None) -> bool:
        """Whether all of it is done; not for ever. `own`: of the operation that waits."""
        left, since = batch.left, trio.current_time()
        if own is not None:
            own.waits += 1
        try:
            while not done.is_set():
                with trio.move_on_after(PATIENCE):
                    await done.wait()
                room = sum(other.at_work() for other in self._batches) < THREADS  # one may have begun, and not run yet
                if batch.left != left:
                    left, since = batch.left, trio.current_time()
                elif batch.is_held_up(room=room, busy=self._busy()) or trio.current_time() - since > LONGEST:
                    break
        finally:
            if own is not None:
                own.waits -= 1
        return done.is_set()

    def _busy(self) -> AbstractSet[int]:
        """Directories of operations that go on by themselves."""
        return {directory for holding in self._holdings if not holding.waits for directory in holding.directories}

    def forget_attributes(self, inodes: Iterable[int]) -> None:
        for inode in inodes if self._open else ():
            _forget_attributes(inode)

    def grow(self, inode: int, size: int) -> bool:
        """A file that nobody has open is that large; whether the kernel has taken it. Answers to what it has asked for
        earlier, which may be on their way, do not change that any more.

        There is no message for that but one that brings bytes as well, so it brings a last one, which must be dropped
        with its page before anybody reads."""
        if not self._open:
            return False
        try:
            if size:
                pyfuse3.notify_store(pyfuse3.InodeT(inode), size - 1, b"\0")
        except OSError as error:
            if error.errno not in _GONE:
                log.warning("the kernel refused to be told the size of %d: %s", inode, error)
            return False
        return True

    def keep(self, directory: int, name: str) -> None:
        """A running operation, which holds the directory, has found that the kernel is right about a name."""
        self._deferred.get(directory, {}).pop(name, None)

    def _forget_deferred(self, directory: int, *, guard: bool) -> None:
        names = self._deferred.pop(directory, None)
        if names and self._nursery is not None:
            done = trio.Event()
            if guard:
                self._passing.shut(directory, done)
            self._nursery.start_soon(
                self._work_after, directory, Batch((directory, name) for name in names), done, guard
            )

    async def _work_after(self, directory: int, batch: Batch, done: trio.Event, guard: bool) -> None:
        await self._work(batch, done)
        if guard:
            self._passing.open(directory, done)

    async def _work(self, batch: Batch, done: trio.Event) -> None:
        self._batches.add(batch)
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(batch.threads):
                    nursery.start_soon(self._work_in_thread, batch)
        finally:
            self._batches.remove(batch)
        done.set()

    async def _work_in_thread(self, batch: Batch) -> None:
        await trio.to_thread.run_sync(batch.work, abandon_on_cancel=True, limiter=self._limiter)


def _forget_name(parent: int, name: bytes) -> None:
    """In a worker thread: blocks while an operation runs in that directory."""
    try:
        pyfuse3.invalidate_entry(pyfuse3.InodeT(parent), pyfuse3.FileNameT(name))
    except OSError as error:
        if error.errno not in (*_GONE, errno.ENOTDIR):
            log.warning("the kernel refused to forget a name: %s", error)


def _waits_for_lock(thread: int) -> bool:
    """In the kernel, where no signal ends it: state D (proc_pid_stat(5)), as whoever waits for a directory's lock. One
    that waits for a processor is R, and one that waits for the interpreter is S."""
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"D"
    except OSError:  # it has ended meanwhile
        return False


def _forget_attributes(inode: int) -> None:
    try:
        pyfuse3.invalidate_inode(pyfuse3.InodeT(inode), attr_only=True)
    except OSError as error:
        if error.errno not in _GONE:
            log.warning("the kernel refused to forget the attributes of %d: %s", inode, error)
