"""What the catalogue says that the folders of the store should hold. Trio thread; scans on reader threads."""

from __future__ import annotations

from engine.ports import Catalogue
from engine.soundness.compare import Rows, Staged
from engine.transfer.ranges import RangeMap


async def staging_in_use(catalogue: Catalogue) -> list[str]:
    """The staging names that some item still needs: one that arrives or is written, in the trash or not."""
    trashed = map(catalogue.download, [item.id for item in await catalogue.trash_list() if not item.state.whole])
    found = [download.staging for download in (*await catalogue.downloads(), *trashed) if download is not None]
    return [*found, *(staging for _, staging in await catalogue.drafts())]


async def read_rows(catalogue: Catalogue) -> Rows:
    downloads = {row.item: row for row in await catalogue.downloads() if row.ranges}
    staged = [
        Staged(item, downloads[item.id].staging, staged_end(downloads[item.id].ranges))
        for item in await catalogue.items(list(downloads))
    ]
    lost, in_use = await catalogue.lost(), await staging_in_use(catalogue)
    return Rows(await catalogue.blobs(), lost, staged, in_use)


def staged_end(ranges: str) -> int:
    """Bytes that its file in staging has at least, by what a row says is here."""
    try:
        return RangeMap.parse(ranges).end
    except ValueError:
        return 0  # it begins anew by itself
