"""From a row of the catalogue to a torrent that can run: its files, its items, and which pieces are here. Trio thread.

What is believed about the pieces, and why:

- a file whose item is whole is a blob: all its pieces are here. A name below torrents/ that is gone is given back;
- pieces that the row counts were synced before it was written: they are here, unless their file is another one now;
- pieces in the live file may be here: libtorrent hashes them, and only them;
- a row that is damaged says nothing: then everything is hashed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from engine.formats.magnet import parse_magnet
from engine.sources.torrent.metadata import Metainfo, read_metainfo
from engine.sources.torrent.params import Start
from engine.torrents.envelope import Resume, unseal
from engine.torrents.folders import changed, prints, sizes
from engine.torrents.job import Files, Job
from engine.torrents.known import use_known
from engine.torrents.layout import Layout
from engine.torrents.live import LivePieces
from engine.torrents.works import Works
from engine.types import State, Torrent

NOTHING: Final = (None, frozenset[int](), None)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    files: Files
    start: Start
    live: LivePieces


async def open_torrent(works: Works, job: Job, row: Torrent, meta: Metainfo, *, believe: bool = True) -> Opened:
    """The metadata is here, and the items are made. Without `believe` everything is hashed."""
    await works.disk.run(works.folders.create, job.folder)
    folder = works.folders.path(job.folder)
    files = await files_of(works, job, meta)
    await _give_names_back(works, folder, files)
    live = LivePieces(folder)
    try:
        have, loose, notes = await _believed(works, row, folder, files, live) if believe else NOTHING
        if have is not None:
            await use_known(works, job, files, have)
            loose = {piece for piece in loose if not have[piece]}
    except BaseException:
        live.close()
        raise
    if have is not None:
        files.layout.reset(bytes(have))
        files.recount()
    start = Start(
        folder=folder,
        v1=meta.v1,
        v2=meta.v2,
        data=row.metadata,
        positions=meta.positions,
        pieces=meta.pieces,
        have=None if have is None else bytes(have),
        loose=loose,
        resume=notes,
        skipped=files.unwanted_positions(),
        on_demand=job.on_demand,
        hold=have is None,
    )
    return Opened(files, with_swarm(start, job, row, meta), live)


async def files_of(works: Works, job: Job, meta: Metainfo) -> Files:
    """Items in the trash are not wanted, nor those that are gone."""
    layout = Layout(meta)
    items, skipped, done = {}, set(), set()
    by_position = {file.position: index for index, file in enumerate(meta.files)}
    for position, item in await works.catalogue.torrent_files(job.item):
        index = by_position.get(position)
        if index is None:
            continue
        items[index] = item.id
        if item.state.whole and item.sha256 is not None:
            done.add(index)
        elif item.state is State.SKIPPED or (item.trashed_ns is not None and item.id != job.item):
            skipped.add(index)
    return Files(meta, layout, items, skipped, done)


async def recorded(works: Works, job: Job, row: Torrent) -> tuple[int, int] | None:
    """(bytes that are here, bytes that are wanted) of a torrent that does not run, as was written down.
    EngineError."""
    if row.metadata is None:
        return None
    meta = await works.disk.run(read_metainfo, row.metadata, works.config)
    files = await files_of(works, job, meta)
    resume = None if row.resume is None else unseal(row.resume, meta.pieces)
    have = bytearray(meta.pieces if resume is None else resume.have)
    for index in files.done:
        span = files.layout.pieces(files.file(index))
        have[span.start : span.stop] = b"\1" * len(span)
    files.layout.reset(bytes(have))
    files.recount()
    return files.present, files.total


async def _give_names_back(works: Works, folder: str, files: Files) -> None:
    """Files that are whole and have no name below torrents/: after seeding ended, or somebody removed them."""
    found = await works.disk.run(sizes, folder, [files.file(index).position for index in files.done])
    for index in sorted(files.done):
        file = files.file(index)
        if found.get(file.position) == file.size:
            continue
        item = works.catalogue.item(files.items[index])
        if item is None or item.sha256 is None or works.blobs.size(item.sha256) != item.size:
            files.done.discard(index)  # its content is missing: it is fetched again
            continue
        await works.blobs.lend(item.sha256, os.path.join(folder, str(file.position)))


async def _believed(
    works: Works, row: Torrent, folder: str, files: Files, live: LivePieces
) -> tuple[bytearray | None, Collection[int], bytes | None]:
    """(have, loose, notes); `have` of None: everything has to be hashed."""
    layout = files.layout
    pieces = files.meta.pieces
    loose = live.read(pieces)
    resume = Resume(bytes(pieces)) if row.resume is None else unseal(row.resume, pieces)
    if resume is None:
        _log.info("item %d: what was written down of its pieces is damaged, so they are all hashed", row.item)
        return NOTHING
    have = bytearray(resume.have)
    now = await works.disk.run(prints, folder, list(resume.prints))
    for position in changed(resume.prints, now, is_clean=resume.is_clean):
        index = files.by_position.get(position)
        if index is not None:
            span = layout.pieces(files.file(index))
            _log.info("item %d: file %d is not what it was: its pieces are hashed", row.item, position)
            loose.update(piece for piece in span if have[piece])
            have[span.start : span.stop] = bytes(len(span))
    for index in files.done:
        span = layout.pieces(files.file(index))
        have[span.start : span.stop] = b"\1" * len(span)
    return have, await _readable(works, folder, files, {piece for piece in loose if not have[piece]}), resume.notes


async def _readable(works: Works, folder: str, files: Files, pieces: set[int]) -> set[int]:
    """Those of `pieces` that lie within the files as they are: libtorrent gives a torrent up that it cannot read, and
    what was still in its memory at a kill was never written."""
    layout, size = files.layout, files.meta.piece_size
    holders = {piece: [files.file(index) for index in layout.files_of(piece)] for piece in pieces}
    positions = {file.position for held in holders.values() for file in held}
    lengths = await works.disk.run(sizes, folder, positions)
    return {
        piece
        for piece, held in holders.items()
        if all(
            lengths.get(file.position, 0) >= min(piece * size + layout.piece_bytes(piece) - file.offset, file.size)
            for file in held
        )
    }


def with_swarm(start: Start, job: Job, row: Torrent, meta: Metainfo | None) -> Start:
    """Trackers, web seeds and peers: those of the link, and those of the .torrent; and what limits the torrent has."""
    link = parse_magnet(row.magnet)
    return replace(
        start,
        trackers=tuple(dict.fromkeys(link.trackers + (meta.trackers if meta is not None else ()))),
        web_seeds=tuple(dict.fromkeys(link.web_seeds + (meta.web_seeds if meta is not None else ()))),
        peers=link.peers,
        download_rate=int(job.options.get("max-download", 0)),
        upload_rate=int(job.options.get("max-upload", 0)),
        connections=int(job.options.get("connections", 0)),
    )


async def join_late(works: Works, row: Torrent) -> None:
    """Trackers and peers of links that were added after `row` was read and before the torrent was in the session."""
    later = await works.catalogue.torrent(row.item)
    if later is None or later.magnet == row.magnet:
        return
    known, link = parse_magnet(row.magnet), parse_magnet(later.magnet)
    works.session.add_trackers(row.item, [url for url in link.trackers if url not in known.trackers])
    works.session.connect(row.item, [peer for peer in link.peers if peer not in known.peers])
