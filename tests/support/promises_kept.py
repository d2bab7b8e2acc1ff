"""A world of programs at work on a mount that dies again and again, and what they were promised.

Each `Hand` works with items of its own names, one operation after the other. Before each it notes what may come of it,
afterwards what it was promised; so whenever the daemon dies at most one operation a hand is in the open. `check` then
holds what a new daemon shows to that.

    known      name: what is there, by the last operation that returned
    pending    what may have come of the one that did not: groups of alternatives, each a dict of names
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from tagfs.control.client import Client, NoDaemon
from tagfs.control.errors import Code, VerbError
from tagfs.control.views_items import ItemPage, ItemView
from tagfs.vfs.sealing import CUT_SHORT, GONE

DEAD = frozenset({errno.ENOTCONN, errno.ECONNABORTED})
GOING = frozenset({errno.ENOENT, errno.ESTALE, errno.EIO, errno.EAGAIN, errno.EISDIR})
TAGS = tuple(f"t{number}" for number in range(6))
AT_ONCE = 4  # downloads of a hand
CROWD = 25  # items of a hand, beyond which it rather removes than makes


@dataclass(frozen=True)
class Known:
    """An item with that content and these own tags. `torn`: its writer had not closed it. `arriving`: a download that
    nobody has seen whole yet. `folder`: of a torrent, where its seeder has it."""

    content: bytes
    tags: frozenset[str] = frozenset()
    trashed: bool = False
    torn: bool = False
    arriving: bool = False
    folder: Path | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


Outcome = Mapping[str, Known | None]  # None: no live item of that name


@dataclass
class Found:
    """What a daemon shows."""

    live: dict[str, list[ItemView]] = field(default_factory=dict)
    trash: dict[str, list[ItemView]] = field(default_factory=dict)

    @classmethod
    def ask(cls, client: Client) -> Found:
        found = cls()
        for names, trashed in ((found.live, False), (found.trash, True)):
            after: int | None = 0
            while after is not None:
                page: ItemPage = client.call("ls", {"trashed": trashed, "after": after}, ItemPage)
                for item in page.items:
                    names.setdefault(item.name, []).append(item)
                after = page.next
        return found

    def agrees(self, outcome: Outcome, *, emptied: bool) -> bool:
        return all(self._agrees(name, known, emptied=emptied) for name, known in outcome.items())

    def _agrees(self, name: str, known: Known | None, *, emptied: bool) -> bool:
        live = self.live.get(name, [])
        if known is None or known.trashed:
            in_trash = any(item.sha256 == known.sha256 for item in self.trash.get(name, [])) if known else True
            return not live and (in_trash or emptied)
        if len(live) != 1:
            return False
        [item] = live
        if known.arriving and item.state in ("queued", "downloading"):
            return item.error is None
        if known.folder is not None:
            return item.state == "seeding" and item.kind == "folder"
        if known.torn and item.error == CUT_SHORT:  # however much of it there is
            return item.state == "complete" and (item.size or 0) <= len(known.content)
        if known.torn and item.error == GONE:  # the power failed before there was anything of it on the disk
            return item.state == "missing"
        if item.error not in (None, CUT_SHORT):  # the kernel says late that a file was closed
            return False
        return (item.state, item.sha256, frozenset(item.tags)) == ("complete", known.sha256, known.tags)

    def shown(self, name: str) -> object:
        return self.live.get(name), self.trash.get(name)


@dataclass
class Place:
    """Where the hands work."""

    top: Path  # the mount
    scratch: Path  # outside of it
    served: Path  # what a server has
    seeded: Path  # what is in torrents
    connect: Callable[[], Client]
    url: Callable[[str], str]  # of a file in `served`
    seed: Callable[[Path], str]  # a folder, which becomes a torrent; its magnet link
    over: threading.Event = field(default_factory=threading.Event)  # who works comes to an end
    power: bool = False  # whether it is the power that fails: then only fsync promises content
    cut: threading.Event = field(default_factory=threading.Event)  # it has failed, so that everything may fail


class Hand(threading.Thread):
    """One program. `memory` outlives it."""

    def __init__(self, memory: Memory, place: Place) -> None:
        super().__init__(name=memory.name, daemon=True)
        self.memory = memory
        self.random = memory.random
        self.place = place
        self.over = place.over
        self.failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self.place.connect() as self.client:
                while not self.over.is_set():
                    self.work()
                    self.memory.done += 1
        except NoDaemon:
            pass
        except OSError as error:
            if error.errno not in DEAD and not self.place.cut.is_set() and not self.over.is_set():
                self.failure = error
        except BaseException as error:
            if not self.place.cut.is_set():
                self.failure = error

    def work(self) -> None:
        raise NotImplementedError

    def rest(self) -> None:
        self.client.call("version", {})
        threading.Event().wait(0.05)

    @property
    def is_crowded(self) -> bool:
        return sum(not known.trashed for known in self.memory.known.values()) >= CROWD

    @contextmanager
    def doing(self, outcome: Outcome, *others: Outcome, groups: Sequence[Sequence[Outcome]] = ()) -> Iterator[None]:
        """`outcome` is what is promised when this returns, `others` what else may come of it when it does not."""
        known = self.memory.known
        before = {name: known.get(name) for name in outcome}
        self.memory.pending = groups or [[before, outcome, *others]]
        yield
        self.memory.learn(outcome)
        self.memory.pending = []

    def pick(self, *, trashed: bool = False) -> str | None:
        names = [name for name, known in self.memory.known.items() if known.trashed is trashed]
        return self.random.choice(names) if names else None

    def content(self) -> bytes:
        """Mostly small, at times too large for what is done to small ones."""
        return self.random.randbytes(self.random.choice((10, 1000, 5000, 70_000, 300_000)))

    def new_name(self) -> str:
        self.memory.made += 1
        return f"{self.memory.name}-{self.memory.made}"


@dataclass
class Memory:
    """What a hand was promised."""

    name: str
    random: Random
    known: dict[str, Known] = field(default_factory=dict)
    pending: Sequence[Sequence[Outcome]] = ()
    made: int = 0
    done: int = 0  # operations

    def learn(self, outcome: Outcome) -> None:
        for name, known in outcome.items():
            if known is None:
                self.known.pop(name, None)
            else:
                self.known[name] = known

    def wrong(self, found: Found, *, emptied: bool) -> list[str]:
        """Promises that are broken, a line each."""
        open_names = {name for group in self.pending for outcome in group for name in outcome}
        wrong = [
            f"{name}: {self._short(known)} was promised, there is {found.shown(name)}"
            for name, known in self.known.items()
            if name not in open_names and not found.agrees({name: known}, emptied=emptied)
        ]
        for group in self.pending:
            if not any(found.agrees(outcome, emptied=emptied) for outcome in group):
                shown = {name: found.shown(name) for name in group[0]}
                wrong.append(f"none of {[{n: self._short(k) for n, k in o.items()} for o in group]}, there is {shown}")
        return wrong

    @staticmethod
    def _short(known: Known | None) -> object:
        return known and (known.sha256, len(known.content), sorted(known.tags), known.trashed, known.torn)

    def settle(self, found: Found, *, emptied: bool) -> None:
        """What came of the operation that did not return. What was torn is nobody's any more, nor what was emptied."""
        for group in self.pending:
            self.learn(next(outcome for outcome in group if found.agrees(outcome, emptied=emptied)))
        self.pending = ()
        for name, known in list(self.known.items()):
            if known.torn or (known.trashed and emptied):
                del self.known[name]


class Writer(Hand):
    """Through the mount: makes, changes, saves over, tags, renames, removes."""

    def work(self) -> None:
        name = self.pick()
        if name is None or (self.random.random() < 0.3 and not self.is_crowded):
            self.make()
            return
        act = self.random.choice(
            (self.overwrite, self.append, self.save_over, self.tag, self.tag, self.move, self.remove)
        )
        act(name, self.memory.known[name])

    def path(self, name: str) -> Path:
        return self.place.top / "files" / name

    def make(self) -> None:
        name, content = self.new_name(), self.content()
        tags = frozenset(self.random.sample(TAGS, self.random.randrange(3)))
        folder = "/".join(("tags", *sorted(tags))) if tags else "files"
        whole = Known(content, tags)
        with self.doing({name: whole}, {name: replace(whole, torn=True)}):
            self.write(self.place.top / folder / name, "xb", content)

    def write(self, path: Path, mode: str, content: bytes) -> None:
        with open(path, mode, buffering=0) as file:
            file.writelines(content[start : start + 100_000] for start in range(0, len(content), 100_000))
            if self.place.power or self.random.random() < 0.5:
                os.fsync(file.fileno())

    def overwrite(self, name: str, known: Known) -> None:
        """In place, cut to nothing first."""
        content = self.content()
        after = replace(known, content=content)
        with self.doing({name: after}, {name: replace(after, torn=True)}):
            self.write(self.path(name), "wb", content)

    def append(self, name: str, known: Known) -> None:
        more = self.random.randbytes(500)
        after = replace(known, content=known.content + more)
        with self.doing({name: after}, {name: replace(after, torn=True)}):
            self.write(self.path(name), "ab", more)

    def save_over(self, name: str, known: Known) -> None:
        """As editors do: another file that takes its place. Tags stay."""
        other, content = self.new_name(), self.content()
        made, after = Known(content), replace(known, content=content)
        with self.doing({other: made}, {other: replace(made, torn=True)}):
            self.write(self.path(other), "xb", content)
        with self.doing({name: after, other: None}):
            os.rename(self.path(other), self.path(name))

    def tag(self, name: str, known: Known) -> None:
        tag = self.random.choice(TAGS)
        if tag in known.tags:
            with self.doing({name: replace(known, tags=known.tags - {tag})}):
                os.removexattr(self.path(name), f"user.tag.{tag}")
        else:
            with self.doing({name: replace(known, tags=known.tags | {tag})}):
                os.setxattr(self.path(name), f"user.tag.{tag}", b"")

    def move(self, name: str, known: Known) -> None:
        new = self.new_name()
        with self.doing({name: None, new: known}):
            os.rename(self.path(name), self.path(new))

    def remove(self, name: str, known: Known) -> None:
        with self.doing({name: replace(known, trashed=True)}):
            os.unlink(self.path(name))


class Tagger(Writer):
    """Tags one file of its own, as quick as it can."""

    def work(self) -> None:
        name = self.pick()
        if name is None:
            self.make()
            return
        known = self.memory.known[name]
        if len(known.tags) > 30:
            with self.doing({name: replace(known, tags=frozenset())}):
                os.setxattr(self.path(name), "user.xdg.tags", b"")
            return
        tag = f"{name}-{self.memory.done}"
        with self.doing({name: replace(known, tags=known.tags | {tag})}):
            os.setxattr(self.path(name), f"user.tag.{tag}", b"")


class Commander(Hand):
    """Through the socket: imports, tags, puts into the trash, takes out, ends."""

    def work(self) -> None:
        name = self.pick()
        if name is None or (self.random.random() < 0.2 and not self.is_crowded):
            self.bring_in()
            return
        act = self.random.choice((self.tag, self.tag, self.trash, self.restore, self.end))
        act(name, self.memory.known[name])

    def bring_in(self) -> None:
        """One file, or a handful that become durable together."""
        names = [self.new_name() for _ in range(self.random.choice((1, 1, 10)))]
        tags = frozenset(self.random.sample(TAGS, 1))
        made = {name: Known(self.content(), tags) for name in names}
        folder = self.place.scratch / names[0]
        folder.mkdir()
        for name, known in made.items():
            (folder / name).write_bytes(known.content)
        with self.doing(made, groups=[[{name: None}, {name: known}] for name, known in made.items()]):
            self.client.call("import", {"paths": (str(folder),), "tags": tuple(tags)})

    def tag(self, name: str, known: Known) -> None:
        tag = self.random.choice(TAGS)
        after, word = (known.tags - {tag}, "remove") if tag in known.tags else (known.tags | {tag}, "add")
        with self.doing({name: replace(known, tags=after)}):
            self.client.call("tag", {"items": (name,), word: (tag,)})

    def trash(self, name: str, known: Known) -> None:
        with self.doing({name: replace(known, trashed=True)}):
            self.client.call("rm", {"items": (name,)})

    def restore(self, name: str, known: Known) -> None:
        trashed = self.pick(trashed=True)
        if trashed is None:
            return
        try:
            with self.doing({trashed: replace(self.memory.known[trashed], trashed=False)}):
                self.client.call("trash_restore", {"items": (trashed,)})
        except VerbError as error:  # somebody has emptied the trash
            if error.code is not Code.NOT_FOUND:
                raise
            self.memory.pending = ()
            del self.memory.known[trashed]

    def end(self, name: str, known: Known) -> None:
        with self.doing({name: None}):
            self.client.call("rm", {"items": (name,), "forever": True})


class Fetcher(Hand):
    """Adds downloads from a server of files, and ends those that have come."""

    def work(self) -> None:
        known = self.memory.known
        whole = [name for name, one in known.items() if not one.arriving]
        if len(known) - len(whole) >= AT_ONCE:
            self.look([name for name, one in known.items() if one.arriving])
        if len(known) - len(whole) < AT_ONCE:
            name = self.new_name()
            content = self.random.randbytes(self.random.choice((20_000, 200_000, 2_000_000)))
            (self.place.served / name).write_bytes(content)
            with self.doing({name: Known(content, arriving=True)}):
                self.client.call("add", {"urls": (self.place.url(name),)})
        elif len(whole) > CROWD:
            with self.doing({whole[0]: None}):
                self.client.call("rm", {"items": (whole[0],), "forever": True})
        else:
            self.rest()

    def look(self, names: Sequence[str]) -> None:
        """What is whole once somebody has seen it so is whole for good."""
        for item in self.client.call("show", {"items": tuple(names)}, tuple[ItemView, ...]):
            known = self.memory.known[item.name]
            if item.state == "complete" and item.sha256 == known.sha256:
                self.memory.known[item.name] = replace(known, arriving=False)


class Leecher(Hand):
    """Has one torrent arrive after the other."""

    def work(self) -> None:
        known = self.memory.known
        whole = [name for name, one in known.items() if not one.arriving]
        if whole:
            with self.doing({whole[0]: None}):
                self.client.call("rm", {"items": (whole[0],), "forever": True})
        elif not known:
            name = self.new_name()
            folder = self.place.seeded / name
            (folder / "below").mkdir(parents=True)
            for path, size in (("large", 500_000), ("below/small", 3_000), ("below/other", 70_000)):
                (folder / path).write_bytes(self.random.randbytes(size))
            link = self.place.seed(folder)
            with self.doing({name: Known(b"", arriving=True, folder=folder)}):
                self.client.call("add", {"urls": (link,)})
        else:
            self.rest()


class Looker(Hand):
    """Looks at what is there and reads it, also what is arriving; others take it away meanwhile."""

    def work(self) -> None:
        names = os.listdir(self.place.top / "files")
        for name in self.random.sample(names, min(5, len(names))):
            path = self.place.top / "files" / name
            try:
                os.listxattr(path)
                with open(path, "rb") as file:
                    file.seek(self.random.randrange(100_000))
                    file.read(self.random.randrange(1, 500_000))
            except OSError as error:
                if error.errno not in GOING:
                    raise


class Emptier(Hand):
    """Empties the trash, all the time."""

    def work(self) -> None:
        self.client.call("trash_empty", {})
        self.rest()


def told(path: Path) -> Known:
    """What the mount itself says of a file."""
    try:
        tags = frozenset(os.getxattr(path, "user.xdg.tags").decode().split(","))
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        tags = frozenset()
    return Known(path.read_bytes(), tags)
