"""From a file's bytes to the items of what it names. Trio thread; a file that takes long to parse does so in a thread.

State: none. All or nothing: when one download cannot be added, those that were added before it are ended again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import trio

from engine.formats.read import check_size, read
from engine.formats.wanted import Reading
from engine.history import Cause
from engine.ports import AddRequest, Catalogue, Edit, Transfers
from engine.types import Item, ItemId
from query.names import check_own_tag

AT_ONCE: Final = 32  # added together, so that the catalogue commits them as a group: 10,000 links in seconds
ON_THE_LOOP: Final = 32 << 10  # bytes that are parsed within a millisecond or two


async def read_file(name: str, content: bytes) -> Reading:
    """BadRequest as `engine.formats.read` says."""
    check_size(len(content))
    if len(content) <= ON_THE_LOOP:
        return read(name, content)
    return await trio.to_thread.run_sync(partial(read, name, content))


def requests(
    found: Reading,
    *,
    tags: Collection[str],
    paused: bool = False,
    options: Mapping[str, str] | None = None,
    cause: Cause = Cause.MOUNT,
) -> list[AddRequest]:
    """What `found` names, as it is asked for by `cause`. BadName for a tag that cannot be."""
    own = tuple(map(check_own_tag, tags))
    asked = (wanted.request(tags=own, paused=paused, options=options or {}) for wanted in found.wanted)
    return [replace(request, cause=cause) for request in asked]


async def add_all(catalogue: Catalogue, transfers: Transfers, wanted: Iterable[AddRequest]) -> list[Item]:
    """The items, in the order of `wanted`; or none, and the error of the first that cannot be added."""
    todo = list(enumerate(wanted))[::-1]
    added: dict[int, Item] = {}
    errors: dict[int, Exception] = {}
    began_ns = time.time_ns()

    async def work() -> None:
        while todo and not errors:
            place, request = todo.pop()
            try:
                added[place] = await transfers.add(request)
            except Exception as error:  # raised below, once the others have ended
                errors[place] = error

    async with trio.open_nursery() as nursery:
        for _ in range(min(AT_ONCE, len(todo))):
            nursery.start_soon(work)
    if not errors:
        return [added[place] for place in sorted(added)]
    # An item that was there before, which a torrent may lead to, is not ours to end.
    await _end(catalogue, transfers, [item for item in added.values() if item.added_ns >= began_ns])
    raise errors[min(errors)]


def span(items: Sequence[Item]) -> str:
    """Which items, for the log."""
    return f"items {items[0].id} to {items[-1].id}" if items else "all of them known"


async def left_over(
    catalogue: Catalogue, live: Iterable[int], wanted: Sequence[AddRequest], since_ns: int
) -> list[AddRequest]:
    """Of what a file names, what was not added yet, when the last daemon may have died between adding and taking the
    file away. What an item that was made since then comes from by its first URL counts as added, and gets the tags.
    Torrents know themselves again by their infohash. Looks at every live item."""
    known: dict[str, list[ItemId]] = {}
    for item in await catalogue.items(list(live)):
        if item.added_ns >= since_ns:
            for source in catalogue.sources(item.id)[:1]:
                known.setdefault(source.url, []).append(item.id)
    left = []
    for request in wanted:
        items = known.get(request.urls[0]) if request.urls else None
        if items:
            await catalogue.edit(items.pop(0), Edit(add=request.tags))
        else:
            left.append(request)
    return left


async def _end(catalogue: Catalogue, transfers: Transfers, items: list[Item]) -> None:
    """Nobody decided this: `tagfs undo` does not stop at it."""
    catalogue = catalogue.by(Cause.DOWNLOAD)
    for item in items:
        await transfers.stop(item.id)
        await catalogue.trash(item.id)
    await catalogue.purge([item.id for item in items])
