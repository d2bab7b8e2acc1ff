"""The composition root: the only place that knows all parts and puts them together. Trio thread.

    catalogue ◀─ index, views (observers)      blobs ◀─ collector
        ▲            ▲                            ▲
        └── transfers, drafts ────────────────────┘
                     ▲
        context ─▶ nodes ─▶ mount (kernel)         service ─▶ control (socket)

Recovery is the normal start: sweep staging, seal what was being written, queue what was being fetched.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace

import trio

from engine.blobs import BlobStore
from engine.catalogue import RESERVE, open_catalogue
from engine.clock import Stamps
from engine.downloads import Downloads
from engine.errors import EngineError
from engine.history import Cause
from engine.index import BitmapIndex
from engine.soundness.rows import staging_in_use
from engine.soundness.scrub import Scrubber
from engine.suggest.rules import RuleText, check_keys, understand
from engine.supervision import Supervisor
from engine.torrents.manager import TorrentManager
from engine.transfer.manager import TransferManager
from engine.transfer.reader import WaitingRoom
from tagfs import __version__, background
from tagfs.amounts import seconds
from tagfs.config.mount_options import MountOptions
from tagfs.config.paths import CATALOGUE_NAME, socket_path
from tagfs.config.settings import Config
from tagfs.config.torrent import torrent_config
from tagfs.config.transfer import transfer_config
from tagfs.control.server import serve as serve_control
from tagfs.intake.drops import DropStore
from tagfs.intake.folders import tagged
from tagfs.mount import onlookers
from tagfs.mount.session import Session
from tagfs.service.status_text import render
from tagfs.service.verbs import Service
from tagfs.vfs import numbers
from tagfs.vfs.context import Context
from tagfs.vfs.drafts import Drafts
from tagfs.vfs.faults import Faults
from tagfs.vfs.inbox import Inbox
from tagfs.vfs.nodes import root
from tagfs.vfs.views import Views

log = logging.getLogger(__name__)


async def run_daemon(settings: Config, mountpoint: str, mount_options: MountOptions, ready: Callable[[], None]) -> None:
    """Mount and serve until somebody unmounts, asks to stop, or this is cancelled. `settings.paths` are absolute, and
    so is `mountpoint`, without symlinks.

    A service that fails ends everything with its exception, and leaves the mountpoint dead rather than empty.
    """
    session = Session()
    try:
        await _run(settings, mountpoint, mount_options, ready, session)
    finally:
        failed = _is_failure(sys.exc_info()[1])
        if failed:
            log.critical("a service failed: the mount at %s is left dead", mountpoint)
        session.close(unmount=not failed)


async def _run(
    settings: Config, mountpoint: str, mount_options: MountOptions, ready: Callable[[], None], session: Session
) -> None:
    state = settings.paths.state
    watched = tagged(settings.watch.folders)
    rules = understand((RuleText(rule.match, rule.tags, rule.accept) for rule in settings.rules), settings.file)
    refuse_lost_catalogue(state)
    stamps = Stamps()
    async with open_catalogue(os.path.join(state, CATALOGUE_NAME), clock=stamps, reserve=RESERVE) as catalogue:
        stamps.newest = max([stamps.newest, *(record.at_ns for record in await catalogue.log(limit=1))])
        index = await BitmapIndex.open(catalogue)
        check_keys(rules, index.own_keys(), settings.file)
        store = BlobStore(state)
        await store.sweep(await staging_in_use(catalogue))
        room = WaitingRoom(settings.transfer.max_waiters)
        streams = TransferManager(catalogue, store, transfer_config(settings.transfer), room=room)
        torrenting = torrent_config(settings.torrent, reserve=settings.transfer.reserve)
        torrents = TorrentManager(catalogue, store, state, torrenting, room=room)
        transfers = Downloads(streams, torrents)
        views = Views(catalogue, index)
        catalogue.observe(views)
        drafts = Drafts(catalogue, store, transfers)
        drafts.overwritten = views.overwritten
        catalogue.observe(drafts.pages)
        faults, supervisor = Faults(), Supervisor()
        inbox = Inbox(DropStore(state), catalogue, transfers, faults, first=numbers.DROP_BASE, live=lambda: index.live)
        context = Context(
            catalogue=catalogue,
            index=index,
            transfers=transfers,
            blobs=store,
            views=views,
            drafts=drafts,
            inbox=inbox,
            faults=faults,
            store=state,
            mountpoint=mountpoint,
            read_patience=settings.transfer.read_patience,
            onlookers=onlookers.names(settings.transfer.onlookers),
            facets=mount_options.facets,
            degraded=lambda: [*supervisor.degraded.values(), *([torrents.lost] if torrents.lost else [])],
        )
        context.nodes.update(root.build(context, status=lambda: render(context), version=__version__))
        async with store.syncing_together(), trio.open_nursery() as nursery:
            await nursery.start(drafts.run)
            await nursery.start(streams.run)
            await nursery.start(torrents.run)
            await nursery.start(inbox.run)
            scrubber = Scrubber(
                catalogue, store, every=seconds(settings.scrub.every), rate=settings.scrub.rate, clock=context.clock
            )
            services = background.services(settings, context, store, scrubber=scrubber, folders=watched, rules=rules)
            for name, begin in services.items():
                await nursery.start(supervisor.keep, name, begin)
            commands = replace(context, catalogue=catalogue.by(Cause.COMMAND))
            service = Service(commands, store, scrubber=scrubber, rules_in_file=rules, end=nursery.cancel_scope.cancel)
            socket = socket_path(state, settings.paths.runtime)
            await nursery.start(lambda task_status: serve_control(socket, service, task_status=task_status))
            await session.serve(context, fuse_options(mount_options), umask=mount_options.umask, ready=ready)
            nursery.cancel_scope.cancel()


def refuse_lost_catalogue(state: str) -> None:
    """EngineError where the contents are there and what they are called is gone: a new catalogue would look as if all
    were lost, and drop what is staged."""
    path, blobs = os.path.join(state, CATALOGUE_NAME), os.path.join(state, "blobs")
    if os.path.exists(path) or os.path.exists(f"{path}-wal") or not os.path.isdir(blobs):
        return  # a log without its database has a sentence of its own
    if any(files for _, _, files in os.walk(blobs)):
        raise EngineError(
            f"{path} is missing, and there are contents: bring it back with tagfs restore, or move {blobs} away to "
            "begin anew; tagfs import can bring in what is there."
        )


def fuse_options(options: MountOptions) -> frozenset[str]:
    """What libfuse is told. default_permissions always: the kernel checks modes, so that allow_other cannot open more
    than they say. No auto_unmount: after a crash a dead mount is safer than an empty directory."""
    source = re.sub(r"([\\,])", r"\\\1", options.fsname)  # as libfuse wants a backslash or a comma in a value
    chosen = {f"fsname={source}", "subtype=tagfs", "default_permissions", "nosuid", "nodev", "noatime"}
    if options.allow_other:
        chosen.add("allow_other")
    if options.read_only:
        chosen.add("ro")
    if options.noexec:
        chosen.add("noexec")
    return frozenset(chosen)


def _is_failure(error: BaseException | None) -> bool:
    """Whether there is more to `error` than that we were told to stop."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_failure, error.exceptions))
    return error is not None and not isinstance(error, (trio.Cancelled, KeyboardInterrupt, SystemExit))
