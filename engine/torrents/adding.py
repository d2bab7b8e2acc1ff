"""How a torrent comes in: by a magnet link or a .torrent, once. Trio thread."""

from __future__ import annotations

from dataclasses import replace

import trio

from engine.errors import BadRequest, NoSuchItem
from engine.formats.magnet import Magnet, is_magnet, magnet_uri, parse_magnet, public_magnet
from engine.ports import AddRequest, Edit, NewItem, NewTorrent
from engine.safe_names import is_safe
from engine.sources.torrent.metadata import Metainfo, read_metainfo
from engine.torrents.choosing import Chooser
from engine.torrents.describing import GIVEN, describe
from engine.torrents.folders import new_folder_name
from engine.torrents.options import check_options
from engine.torrents.roster import Roster
from engine.torrents.selecting import SELECT, check_select, unwanted
from engine.torrents.works import Works
from engine.types import Item, ItemId, Source, SourceKind, State, Torrent


class Adder:
    def __init__(self, works: Works, roster: Roster, chooser: Chooser) -> None:
        self._chooser = chooser
        self._works = works
        self._roster = roster
        self._one = trio.Lock()  # two that add the same torrent at once make one item

    async def add(self, request: AddRequest) -> tuple[Item, bool]:
        """The item, and whether somebody has to start it because it came back from the trash. BadRequest."""
        if request.name is not None and not is_safe(request.name):
            raise BadRequest(f"{request.name!r} cannot be the name of a file.")
        options = check_options(request.options)
        if request.select is not None:
            options[SELECT] = check_select(request.select)
        meta: Metainfo | None = None
        if request.torrent is not None:
            meta = await self._works.disk.run(read_metainfo, request.torrent, self._works.config)
            magnet = Magnet(meta.v1, meta.v2, name=meta.name)
            unwanted(meta, request.select, ())  # a selection of nothing is refused here, where somebody hears it
        elif len(request.urls) == 1 and is_magnet(request.urls[0]):
            magnet = parse_magnet(request.urls[0])
        else:
            raise BadRequest("A torrent is one magnet link or the content of one .torrent file.")
        async with self._one:
            known = self._works.catalogue.torrent_known(magnet.v1, magnet.v2)
            if known is not None:
                return await self._again(known, request, magnet, meta)
            return await self._new(request, magnet, options), False

    async def _new(self, request: AddRequest, magnet: Magnet, options: dict[str, str]) -> Item:
        shown = magnet.name or magnet.v1 or magnet.v2 or ""
        if request.name is None:
            options[GIVEN] = shown
        link, folder = magnet_uri(magnet), new_folder_name()
        item = await self._works.catalogue.by(request.cause).add_torrent(
            NewItem(
                name=request.name or shown,
                state=State.PAUSED if request.paused else State.QUEUED,
                tags=request.tags,
                sources=[Source(SourceKind.TORRENT, link, public_magnet(magnet), "")],
                parent=request.folder,
            ),
            NewTorrent(magnet.v1, magnet.v2, link, folder, request.torrent, options),
        )
        if request.torrent is not None:
            row = Torrent(item.id, magnet.v1, magnet.v2, request.torrent, link, folder, None, options)
            await describe(self._works, row, request.torrent)
        found = self._works.catalogue.item(item.id)
        if found is None or found.trashed_ns is not None:
            return item  # somebody was quick to remove it
        self._roster.enlist(found, folder, options)
        return found

    async def _again(
        self, item: ItemId, request: AddRequest, magnet: Magnet, meta: Metainfo | None
    ) -> tuple[Item, bool]:
        """One that is known gets the tags, and the trackers and peers of the new link; it leaves the trash. Files that
        are selected are wanted from then on, beside those that were before. BadRequest for a selection of nothing."""
        catalogue, session = self._works.catalogue.by(request.cause), self._works.session
        found = catalogue.item(item)
        row = await catalogue.torrent(item)
        if found is None or row is None:
            raise NoSuchItem(f"There is no item {item}.")
        if found.trashed_ns is not None:
            await catalogue.restore(item)
        if request.tags:
            await catalogue.edit(item, Edit(add=request.tags))
        old = parse_magnet(row.magnet)
        merged = replace(
            old,
            trackers=tuple(dict.fromkeys(old.trackers + magnet.trackers + (meta.trackers if meta else ()))),
            web_seeds=tuple(dict.fromkeys(old.web_seeds + magnet.web_seeds)),
            peers=tuple(dict.fromkeys(magnet.peers + old.peers)),
        )
        if merged != old:
            await catalogue.set_magnet(item, magnet_uri(merged))
        job = self._roster.jobs.get(item)
        if job is not None and job.swarm is not None and job.swarm.is_here:
            session.add_trackers(item, [url for url in merged.trackers if url not in old.trackers])
            session.connect(item, magnet.peers)
        chosen = request.select is not None and await self._chooser.select(item, request.select)
        starts = chosen or (found.trashed_ns is not None and found.state is not State.COMPLETE)
        return catalogue.item(item) or found, starts and not request.paused
