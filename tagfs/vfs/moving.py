"""What `mv` means, by the places that it happens at: rename(2) with its flags. Trio thread; each is one transaction.

    from \\ to   /files        /tags/b          a folder F      /trash
    /files       a new name    + b              into F          to the trash
    /tags/a      to the top    - a, + b         - a, into F     (EPERM)
    a folder E   to the top    to the top, + b  into F          to the trash
    /trash       all of these bring it back; to /files or below /tags into the folder that it was in

`to the top`: out of the folder that holds it. Between tags an item stays where it is, in a folder or not.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Collection

from engine.errors import Busy
from engine.ports import Edit, Move
from engine.types import Item, ItemId, Kind
from tagfs.vfs.context import Context
from tagfs.vfs.edits import go_on, item_in, new_name_of, own_tags, stop, transfers_of, trash
from tagfs.vfs.names import is_tilde_name
from tagfs.vfs.nodes.folder import place_of
from tagfs.vfs.tree import Closed, Directory, Everything, Inside, Place, Stated, Trash, item_of


async def rename(
    context: Context, source: Directory, name: str, target: Directory, new_name: str, *, replace: bool = True
) -> ItemId:
    """`mv`: takes off what the source states, puts on what the target states; other tags stay. Returns the item that
    has the new name. A file that had it keeps its identity, and gets the content; anything else goes to the trash.
    Without `replace` it is in the way."""
    item = await item_in(context, source, name)
    start, end = _place(context, source), _place(context, target)
    match start, end:
        case Trash(), Trash():
            raise OSError(errno.EPERM, "what is in the trash keeps its name until it is taken out")
        case Stated(), Trash():
            raise OSError(errno.EPERM, "remove it from /files to move it to the trash")
        case _, Trash():
            if item.id not in context.index.live:
                raise OSError(errno.EPERM, "what is in a folder in the trash stays in it, or leaves the trash")
            await trash(context, item)
            return item.id
    was_live = item.id in context.index.live
    move = _move(context, item, start, end, new_name)
    await _check(context, item, move)
    there = await _in_the_way(context, target, new_name)
    if there is not None and there.id != item.id:
        if isinstance(start, Trash) or not replace:
            raise OSError(errno.EEXIST, f"there is {new_name!r} already: use another name")
        if await _take_over(context, item, there):
            return there.id
        move = await _replace(context, item, there, move)
        await context.catalogue.move([move], trashed=[there.id])
    else:
        await context.catalogue.move([move])
    if not was_live:
        restored = context.catalogue.item(item.id)
        await go_on(context, await transfers_of(context, restored or item))
    return item.id


async def exchange(
    context: Context, source: Directory, name: str, target: Directory, new_name: str
) -> tuple[ItemId, ItemId]:
    """RENAME_EXCHANGE: each of the two gets the name of the other, its place, and what its path states of tags."""
    start, end = place_of(context, source), place_of(context, target)
    if not all(isinstance(place, Stated | Everything | Inside) for place in (start, end)):
        raise OSError(errno.EINVAL, "only items in /files, in folders and below plain tags are exchanged")
    one, other = await item_in(context, source, name), await item_in(context, target, new_name)
    if one.id != other.id:
        moves = _move(context, one, start, end, other.name), _move(context, other, end, start, one.name)
        await _check(context, one, moves[0])
        await _check(context, other, moves[1])
        await context.catalogue.move(moves)
    return one.id, other.id


def _move(context: Context, item: Item, start: Place, end: Place, new_name: str) -> Move:
    kept_name = new_name == item.name or is_tilde_name(new_name, item.name, item.id)
    edit = Edit(
        name=None if kept_name else new_name_of(new_name),
        add=_tags_of(end),
        remove=own_tags(context, item.id, _left(start, end)).difference(_tags_of(end)),
    )
    return Move(item.id, _parent(item, start, end), edit)


def _parent(item: Item, start: Place, end: Place) -> ItemId | None:
    match start, end:
        case _, Inside(folder):
            return folder
        case (Stated() | Everything() | Inside(), Everything()) | (Inside(), Stated()):
            return None
        case _:
            return item.parent


async def _check(context: Context, item: Item, move: Move) -> None:
    """Whether an item may go to that folder, or out of the one that it is in."""
    if move.parent == item.parent:
        if item.id not in context.index.live and item.trashed_ns is None:
            raise OSError(errno.EPERM, "what is in a folder in the trash keeps its name until it is taken out")
        return
    after = () if move.parent is None else (move.parent, *context.catalogue.ancestors(move.parent))
    if item.id in after:
        raise OSError(errno.EINVAL, "a folder cannot be moved into itself")
    if move.parent is not None and move.parent not in context.index.live:
        raise OSError(errno.EPERM, "that folder is in the trash: nothing is put into it")
    left = set(context.catalogue.ancestors(item.id)) - set(after)
    if left and any(map(context.catalogue.is_torrent, left)):
        await _check_arrived(context, item, left)


async def _check_arrived(context: Context, item: Item, left: Collection[ItemId]) -> None:
    """What a torrent is to bring stays in its folder until it is here: it goes to the trash with the folder, and comes
    back with it."""
    held = await context.catalogue.items([item.id, *context.index.below(item.id)])
    for row in held:
        torrent = None if row.kind is not Kind.FILE or row.state.whole else context.catalogue.torrent_of(row.id)
        if torrent is not None and torrent[0] in left:
            raise OSError(errno.EPERM, f"{row.name!r} stays in the folder of its torrent until it is here")


async def _in_the_way(context: Context, target: Directory, name: str) -> Item | None:
    """The item that has the name. The kernel lets only folders come where a directory is, and of those that are
    computed none can be replaced."""
    try:
        if item_of(await target.lookup(name)) is None:
            raise OSError(errno.ENOTEMPTY, f"{name!r} is taken there, by what is no item: use another name")
    except FileNotFoundError:
        return None
    return await item_in(context, target, name)


async def _take_over(context: Context, item: Item, there: Item) -> bool:
    """`mv tmp f`, as editors save: f gets the content. Not where a download is to bring the content of one of them."""
    if not item.kind is there.kind is Kind.FILE:
        return False
    try:
        await context.drafts.replace(there.id, item.id)
    except Busy:
        return False
    return True


async def _replace(context: Context, item: Item, there: Item, move: Move) -> Move:
    """`item` takes the place of `there`, which goes to the trash: it is found where that was found."""
    if item.kind is Kind.FOLDER and there.kind is not Kind.FOLDER:
        raise OSError(errno.ENOTDIR, f"{there.name!r} is no folder, and only a folder makes room for one")
    if item.kind is not Kind.FOLDER and there.kind is Kind.FOLDER:
        raise OSError(errno.EISDIR, f"{there.name!r} is a folder")
    if there.kind is Kind.FOLDER and context.catalogue.holds(there.id):
        raise OSError(errno.ENOTEMPTY, f"there are items in the folder {there.name!r}")
    await stop(context, there)
    tags = {*move.edit.add, *context.catalogue.tags(there.id)}
    return dataclasses.replace(move, edit=dataclasses.replace(move.edit, add=tags))


def _place(context: Context, directory: Directory) -> Place:
    place = place_of(context, directory)
    if isinstance(place, Closed):
        raise OSError(place.errno, place.why)
    return place


def _left(start: Place, end: Place) -> Stated:
    """What the one path states and the other does not."""
    literal = isinstance(start, Stated) and start.literal
    return Stated(tuple(tag for tag in _tags_of(start) if tag not in _tags_of(end)), literal=literal)


def _tags_of(place: Place) -> Collection[str]:
    return place.tags if isinstance(place, Stated) else ()
