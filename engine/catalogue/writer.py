"""The one thread that writes: takes jobs, commits them in groups. Imports transaction; `run` and below on that thread.

    loop thread     submit ──▶ queue ──────────────┐                    ┌──▶ delivery (apply, settle, wake the callers)
    writer thread                        take all ─┴─▶ BEGIN            │
                                                       SAVEPOINT job 1  │
                                                       SAVEPOINT job 2  │  a job that fails takes only itself back
                                                       ...              │
                                                       COMMIT = fsync ──┘  meanwhile the queue fills for the next group

What finds no space is tried again with what is kept for that (`reserve`), after the others of its group.

With 64 callers and 8 ms an fsync one commit a call makes 106 calls a second, groups make 1,901.

State: the queue is the only thing that both threads change, and readers look at the number of commits. Between `submit`
and `deliver` a job belongs to this thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final

import trio
from peewee import DatabaseError

from engine.catalogue.database import open_writer, raw, translate
from engine.catalogue.reserve import Reserve
from engine.catalogue.transaction import Transaction
from engine.errors import BadRequest, CatalogueFailed, EngineError, StoreFull
from engine.history import Cause
from engine.types import Change, TagChange
from query.errors import show

# Bounds what one commit holds in memory, and how long the first caller of a group waits for the last.
GROUP_LIMIT: Final = 1_000
MIXED: Final = -1  # in place of the number of commits: a later job of the group may have changed the same row


@dataclass(slots=True, eq=False)
class Job:
    """One transaction somebody waits for. After delivery it has a result or an error."""

    function: Callable[[Transaction], Any]
    # Called with the result on the trio thread, when observers have heard of all earlier jobs and of no later one.
    arrived: Callable[[Any], None] | None = None
    cause: Cause = Cause.MOUNT  # who asked for it, for the journal
    alone: bool = False  # in a group of its own: when it runs, all before it is committed and handed to delivery
    once: bool = False  # it changes more than the database, so it cannot be tried again
    about_tags: bool = False  # `edits.is_about_tags`; its result is the row of the item
    commit: int = 0  # how many had been counted when its group was committed, which was about tags alone; or MIXED
    result: Any = None
    error: BaseException | None = None
    changes: Sequence[Change] = ()
    tags: Sequence[TagChange] = ()
    done: trio.Event = field(default_factory=trio.Event)
    context: Context = field(default_factory=copy_context)  # of who asked: observers settle in it


class Writer:
    """`clock` gives nanoseconds since the epoch; `deliver` is called on the writer thread, a group at a time."""

    def __init__(
        self, path: str, clock: Callable[[], int], deliver: Callable[[list[Job]], None], reserve: Reserve
    ) -> None:
        self._database = open_writer(path)
        self._reserve = reserve
        self._clock = clock
        self._deliver = deliver
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self.commits = 0  # that have become visible to readers, without those that are about tags alone
        self.groups = 0  # that were begun, each of which is delivered, and may be seen by readers before that
        self._next: Job | None = None  # taken from the queue, and to be alone in the next group

    def submit(self, job: Job) -> None:
        self._queue.put(job)

    def stop(self) -> None:
        """What was submitted until now is still committed."""
        self._queue.put(None)

    def run(self) -> None:
        """Until `stop`. CatalogueFailed when the database fails, after that group was delivered as failed."""
        connection = raw(self._database)
        while jobs := self._take():
            while jobs:
                failure = self._commit(connection, jobs)
                again = self._starved(jobs)
                self._deliver([job for job in jobs if job not in again])
                if failure is not None:
                    raise failure
                jobs = again

    def close(self) -> None:
        """After `run` has ended and all readers are closed: the last connection folds the log into the file."""
        self._database.close()

    def _take(self) -> list[Job]:
        """Waits for a job, then takes what else has come; empty at the end."""
        job = self._next or self._queue.get()
        self._next = None
        jobs: list[Job] = []
        while job is not None:
            if job.alone and jobs:
                self._next = job
                return jobs
            jobs.append(job)
            if job.alone or len(jobs) == GROUP_LIMIT:
                return jobs
            try:
                job = self._queue.get_nowait()
            except Empty:
                return jobs
        if jobs:
            self.stop()  # once more, for the next turn
        return jobs

    def _starved(self, jobs: Sequence[Job]) -> list[Job]:
        """Those that found no space, to be tried again with a step of the reserve."""
        starved = [job for job in jobs if isinstance(job.error, StoreFull) and not job.once]
        if not starved or not self._reserve.give_up():
            return []
        for job in starved:
            job.error = None
        return starved

    def _commit(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> CatalogueFailed | None:
        self.groups += 1
        about_tags = all(job.about_tags for job in jobs)
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not (about_tags and self._all_succeed(connection, jobs)):
                for job in jobs:
                    _perform(connection, job, self._clock)
            connection.execute("COMMIT")
            self.commits += not about_tags
            for job in jobs:
                job.commit = self.commits if about_tags else MIXED
        except (sqlite3.Error, DatabaseError) as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = translate(error) or CatalogueFailed(f"the catalogue failed: {error}")
            for job in jobs:
                job.error = job.error or failure
                job.changes, job.tags = (), ()
            return failure if isinstance(failure, CatalogueFailed) else None
        return None

    def _all_succeed(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> bool:
        """Whether none of the most frequent jobs fails, which saves each of them the statements by which it could be
        taken back alone. Otherwise nothing is done yet."""
        try:
            for job in jobs:
                _run(Transaction(connection, self._clock, job.cause), job)
        except Exception:  # by itself it says so once more
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            return False
        return True


def _run(transaction: Transaction, job: Job) -> None:
    job.result = job.function(transaction)
    transaction.seal()
    job.changes, job.tags = transaction.changes, transaction.tags


def _perform(connection: sqlite3.Connection, job: Job, clock: Callable[[], int]) -> None:
    """Run one job inside the group. Raises only what concerns the whole group."""
    transaction = Transaction(connection, clock, job.cause)
    connection.execute("SAVEPOINT job")
    try:
        _run(transaction, job)
    except Exception as error:  # the caller's, whatever it is: it travels to the caller
        job.error = _explain(error)
        # A full disk and the like make SQLite roll back the whole transaction by itself.
        if not connection.in_transaction or isinstance(job.error, CatalogueFailed):
            raise
        connection.execute("ROLLBACK TO job")
        job.changes, job.tags = (), ()
    connection.execute("RELEASE job")


def _explain(error: Exception) -> Exception:
    if isinstance(error, UnicodeEncodeError):
        return BadRequest(f"{show(error.object)} is not UTF-8 and cannot be stored as text")
    if isinstance(error, sqlite3.IntegrityError):
        return BadRequest(f"the catalogue cannot hold that: {error}")
    if isinstance(error, sqlite3.Error | DatabaseError):
        known: EngineError | None = translate(error)
        return error if known is None else known
    return error
