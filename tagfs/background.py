"""The services that the daemon can do without for a while: what fails here is begun anew, and `status` says so.

Drafts, transfers, torrents, the inbox and the mount are not among them: they hold what people wait for, and begin from
the catalogue when the daemon does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import trio

from engine.blobs import BlobStore
from engine.blobs.gc import Collector
from engine.blobs.looking import look_at_old_blobs
from engine.ports import Catalogue
from engine.soundness.scrub import Scrubber
from engine.suggest.guesser import Guesser
from engine.suggest.looking import Looker
from engine.suggest.rules import Rule
from engine.supervision import Run
from tagfs.config.settings import Config
from tagfs.intake.folders import Folder, Watch
from tagfs.upkeep import Upkeep
from tagfs.vfs.context import Context


def services(
    settings: Config,
    context: Context,
    store: BlobStore,
    *,
    scrubber: Scrubber,
    folders: Sequence[Folder],
    rules: Sequence[Rule],
) -> Mapping[str, Callable[[], Run]]:
    """By the name that people read; each call makes a fresh one."""
    catalogue, index = context.catalogue, context.index
    return {
        "the removal of unused content": lambda: Collector(catalogue, store, floor=settings.transfer.reserve).run,
        "the upkeep of trash and history": lambda: Upkeep(catalogue, settings.history, settings.trash).run,
        "the watch of folders": lambda: (
            Watch(
                catalogue,
                context.transfers,
                context.faults,
                folders,
                live=lambda: index.live,
                mountpoint=context.mountpoint,
                remove=settings.watch.after == "remove",
            ).run
        ),
        "the look at names and contents": lambda: (
            Looker(
                catalogue,
                index,
                store,
                rules,
                path=store.path,
                guesser=Guesser(folder=os.path.join(store.root, "blobs")),
                clock=context.clock,
            ).run
        ),
        "the reading of all contents": lambda: scrubber.run,
        "the look at old content": lambda: partial(_look_at_old_blobs, catalogue, store),
    }


async def _look_at_old_blobs(catalogue: Catalogue, store: BlobStore, task_status: trio.TaskStatus[None]) -> None:
    task_status.started()
    await look_at_old_blobs(catalogue, store)
