"""Which files of a torrent are wanted while it is here, and in what mode it arrives. Trio thread."""

from __future__ import annotations

from engine.errors import BadRequest
from engine.ports import Edit
from engine.sources.torrent.metadata import read_metainfo
from engine.torrents.options import check_options
from engine.torrents.roster import Roster
from engine.torrents.selecting import SELECT, check_select, unwanted
from engine.torrents.works import Works
from engine.types import Item, ItemId, State


class Chooser:
    def __init__(self, works: Works, roster: Roster) -> None:
        self._works = works
        self._roster = roster

    async def skip(self, item: ItemId) -> None:
        """See ports.Transfers.skip. Whole ones stay whole."""
        found = self._works.catalogue.torrent_of(item)
        row = self._works.catalogue.item(item)
        if found is None or row is None or found[0] == item:
            raise BadRequest("Only a file in a torrent can be skipped.")
        if not row.state.whole:
            await self._works.catalogue.edit(item, Edit(state=State.SKIPPED))
            self.change(found[0], found[1], wanted=False)

    async def want(self, root: ItemId, row: Item) -> None:
        """A file of it that is not whole, skipped or not."""
        found = self._works.catalogue.torrent_of(row.id)
        if found is None:
            return
        if row.state is not State.QUEUED:
            await self._works.catalogue.edit(row.id, Edit(state=State.QUEUED))
        self.change(root, found[1], wanted=True)

    async def select(self, root: ItemId, text: str) -> bool:
        """Of a torrent that was known before: these files as well, or those that it will have. Whether there is
        something to fetch by that for one that does not run. BadRequest."""
        catalogue = self._works.catalogue
        row = await catalogue.torrent(root)
        job = self._roster.jobs.get(root)
        files = await catalogue.torrent_files(root)
        top = catalogue.item(root)
        if row is None or top is None:
            return False
        if row.metadata is None or not files:
            options = {**row.options, SELECT: check_select(text)}
            await catalogue.set_torrent_options(root, options)
            if job is not None:
                job.options = options
            return top.state is State.FAILED
        meta = await self._works.disk.run(read_metainfo, row.metadata, self._works.config)
        left = unwanted(meta, check_select(text), ())
        chosen = {file.position for index, file in enumerate(meta.files) if index not in left}
        wanted = [(position, item) for position, item in files if position in chosen and item.state is State.SKIPPED]
        await catalogue.edit_many([(item.id, Edit(state=State.QUEUED)) for _, item in wanted])
        for position, _ in wanted:
            self.change(root, position, wanted=True)
        if wanted and job is None:
            await catalogue.settle_folder(root, State.QUEUED)  # its goal was reached, with less
        return bool(wanted) and (job is None or top.state is State.FAILED)

    def change(self, root: ItemId, position: int, *, wanted: bool) -> None:
        """What the catalogue says of it stays. Instant."""
        job = self._roster.jobs.get(root)
        if job is None:
            return
        job.choices[position] = wanted  # a run that begins may have read the rows before
        index = None if job.files is None else job.files.by_position.get(position)
        if job.files is None or index is None:
            return
        job.files.choose(index, wanted=wanted)
        if job.swarm is not None and job.swarm.is_here:
            self._works.session.want_file(root, position, wanted=wanted)
            job.swarm.bell.ring()
        job.wake_all()

    async def set_mode(self, item: ItemId, mode: str) -> None:
        """Of the whole torrent, which begins anew with what it has."""
        check_options({"mode": mode})
        job = self._roster.job(item)
        if job is None or job.mode == mode:
            return
        await self._roster.halt(job)
        if self._roster.jobs.get(job.item) is not job:
            return
        job.options = {**job.options, "mode": mode}
        await self._works.catalogue.set_torrent_options(job.item, job.options)
        if job.resting is None:
            self._roster.push(job)
