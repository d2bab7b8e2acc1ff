"""Metadata that has come: read, and made into items in place. Trio thread.

A torrent's item is added first, with the name that is known; here it becomes the file, or the folder with its files.
"""

from __future__ import annotations

from dataclasses import replace

from engine.errors import NoSuchItem
from engine.formats.magnet import parse_magnet
from engine.ports import FolderFile, TorrentFiles
from engine.sources.torrent.metadata import Metainfo, read_metainfo, torrent_of_info
from engine.sources.torrent.params import Start
from engine.torrents.job import Job
from engine.torrents.opening import join_late, with_swarm
from engine.torrents.selecting import SELECT, unwanted
from engine.torrents.swarm import Swarm
from engine.torrents.works import Works
from engine.types import State, Torrent

# Bytes a second while there is no metadata. libtorrent asks a peer that lies about its size again at once, for ever:
# without a limit, some 1,500 times a second.
METADATA_RATE = 1 << 20
GIVEN = "shown-as"  # the name that a magnet link was shown under: the user has not chosen it, and it may change


async def fetch_metadata(works: Works, job: Job, row: Torrent, swarm: Swarm) -> bytes:
    """The .torrent of a magnet link, from the swarm. It leaves the session again, to come back with its files named by
    us: libtorrent would begin to write under names of its own at once."""
    await works.disk.run(works.folders.create, job.folder)
    start = Start(folder=works.folders.path(job.folder), v1=row.v1, v2=row.v2)
    start = with_swarm(start, job, row, None)
    await swarm.begin(replace(start, download_rate=min(start.download_rate or METADATA_RATE, METADATA_RATE)))
    await join_late(works, row)
    info = await swarm.described()
    await swarm.end()
    return torrent_of_info(info)


async def describe(works: Works, row: Torrent, data: bytes) -> tuple[Torrent, Metainfo]:
    """The row with its metadata, and what that says; the items are made where they are not yet. BadRequest."""
    meta = await works.disk.run(read_metainfo, data, works.config)
    described = replace(row, v1=meta.v1, v2=meta.v2, metadata=data)
    if row.metadata is not None and await works.catalogue.torrent_files(row.item):
        return described, meta
    item = works.catalogue.item(row.item)
    if item is None:
        raise NoSuchItem(f"There is no item {row.item}.")
    skipped = unwanted(meta, row.options.get(SELECT), parse_magnet(row.magnet).select)
    found = TorrentFiles(
        v1=meta.v1,
        v2=meta.v2,
        metadata=data,
        name=meta.name if item.name == row.options.get(GIVEN) else None,
        is_single=meta.is_single,
        files=[
            FolderFile(file.path, file.size, State.SKIPPED if index in skipped else State.QUEUED)
            for index, file in enumerate(meta.files)
        ],
        positions=[file.position for file in meta.files],
    )
    await works.catalogue.describe_torrent(row.item, found)
    return described, meta
