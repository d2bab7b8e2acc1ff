"""What create, mkdir, rm, ln and ln -s mean, by the places that they happen at; `moving.py` does mv. Trio thread, each
is one transaction.

A path states tags; an edit changes exactly the tags that the path states. Nothing done below /tags destroys content.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from engine.errors import BadRequest
from engine.formats.magnet import is_magnet
from engine.ports import AddRequest, Edit, NewItem
from engine.types import Item, ItemId, Kind, Source, SourceKind, State
from query.closure import Names
from query.relations import Relations
from tagfs.vfs.context import Context
from tagfs.vfs.draft import Draft
from tagfs.vfs.inbox import Drop
from tagfs.vfs.names import NAME_MAX, is_tilde_name
from tagfs.vfs.nodes.folder import is_working_folder, place_of
from tagfs.vfs.tree import Closed, Directory, DropNode, Everything, Inbox, Inside, Node, Place, Stated, Trash, item_of
from tagfs.vfs.walk import inside_mount, walk

URL_SCHEMES = frozenset({"http", "https", "ftp", "magnet"})
LATER_SCHEMES = frozenset({"ftps", "sftp"})


async def create(context: Context, directory: Directory, name: str, mode: int) -> Draft:
    """A new empty item, open for writing."""
    place = place_of(context, directory)
    tags = tags_to_put(context, place)
    return await context.drafts.create(new_name_of(name), tags, mode & 0o777, parent=folder_at(place))


async def mkdir(context: Context, directory: Directory, name: str, mode: int) -> ItemId:
    """A folder item. That its source is the mount marks it, and all that is in it, as worked in by people."""
    place = place_of(context, directory)
    new = NewItem(
        name=new_name_of(name),
        kind=Kind.FOLDER,
        tags=tags_to_put(context, place),
        mode=mode & 0o777,
        sources=[Source(SourceKind.MOUNT, "", "", "")],
        parent=folder_at(place),
    )
    return (await context.catalogue.add(new)).id


async def unlink(context: Context, directory: Directory, name: str, program: int = 0) -> None:
    """`program` tells who removes what by `rm -r` (`removals`)."""
    if isinstance(directory.place, Inbox):
        await context.inbox.remove(await drop_in(context, directory, name))
        return
    item = await item_in(context, directory, name)
    if item.kind is Kind.FOLDER:
        raise OSError(errno.EISDIR, f"{name!r} is a folder")
    match place_of(context, directory):
        case Stated() as stated:
            await context.catalogue.edit(item.id, Edit(remove=own_tags(context, item.id, stated)))
        case Inside() if not item.tag_count and context.drafts.is_blank(item.id):
            try:
                await context.catalogue.discard(item.id)  # nothing was ever in it, as of a lock: nothing to bring back
            except BadRequest:  # but what it got in this moment
                await _take_away(context, directory, item, program)
        case Everything() | Inside() | Trash():
            await _take_away(context, directory, item, program)
        case Closed() as closed:
            raise OSError(closed.errno, closed.why)


async def _take_away(context: Context, directory: Directory, item: Item, program: int) -> None:
    """To the trash, or from there for good. Content goes for good only on a path through /trash: who stands in a folder
    that somebody else moves to the trash must not end what is in it by a simple rm."""
    if item.id in context.index.live:
        await stop(context, item)
        if item.kind is Kind.FOLDER:
            along = context.removals.take(item.id, program) if is_working_folder(context, item.id) else None
            await context.catalogue.remove_folder(item.id, along=along)
        else:
            await context.catalogue.trash(item.id)
        if item.parent is not None:
            context.removals.note(item.parent, item.id, program)
    elif directory.location[0] == "trash":
        await context.catalogue.purge([item.id])
    else:
        raise OSError(errno.EPERM, "this folder is in the trash: remove what is in it below /trash")


async def drop(context: Context, directory: Directory, name: str) -> Drop:
    """A new file in /inbox, open for writing."""
    assert isinstance(directory.place, Inbox)
    return await context.inbox.create(_known(context, directory.place.tags), new_name_of(name))


async def drop_in(context: Context, directory: Directory, name: str) -> Drop:
    """What was dropped into /inbox by that name."""
    node = await directory.lookup(name)
    found = context.inbox.numbered(node.number) if isinstance(node, DropNode) else None
    if found is None:
        raise OSError(errno.EPERM, f"{name!r} is a directory: it stays where it is")
    return found


async def rename_drop(context: Context, source: Directory, name: str, target: Directory, new_name: str) -> None:
    """`mv` within /inbox; nothing is moved into it or out of it."""
    if not isinstance(source.place, Inbox):
        raise OSError(errno.EPERM, "an item is not moved into /inbox: tag it with ln or mv below /tags, or copy it")
    if not isinstance(target.place, Inbox):
        raise OSError(errno.EPERM, "what is in /inbox is no item yet: copy it elsewhere, or remove it")
    moved = await drop_in(context, source, name)
    with suppress(FileNotFoundError):
        if isinstance(await target.lookup(new_name), Directory):
            raise OSError(errno.EISDIR, f"{new_name!r} is a directory")
    await context.inbox.rename(moved, _known(context, target.place.tags), new_name_of(new_name))


async def rmdir(context: Context, directory: Directory, folder: ItemId, program: int = 0) -> None:
    """Of a folder item, which must be empty, as `rm -r` has made it: what it held lies in the trash by itself then and
    joins the folder there. Below /tags it only takes the tags off, whatever the folder holds; but an empty one that
    somebody made there, and that no other tag lists, is removed, or `rm -r` would leave it behind in /files."""
    match place_of(context, directory):
        case Stated() as stated:
            if not _is_done_with(context, folder, stated):
                await context.catalogue.edit(folder, Edit(remove=own_tags(context, folder, stated)))
                return
        case Closed() as closed:
            raise OSError(closed.errno, closed.why)
    row = context.catalogue.item(folder)
    if context.catalogue.holds(folder):
        raise OSError(errno.ENOTEMPTY, "there are items in this folder: rm -r or tagfs rm takes all of it")
    if row is not None:
        await _take_away(context, directory, row, program)


def _is_done_with(context: Context, folder: ItemId, stated: Stated) -> bool:
    row = context.catalogue.item(folder)
    if row is None or row.parent is not None or context.catalogue.holds(folder):
        return False
    only_these = own_tags(context, folder, stated) == set(context.catalogue.tags(folder))
    return only_these and is_working_folder(context, folder)


async def trash(context: Context, item: Item) -> None:
    """To /trash. A download stops first, so that nothing writes to what was removed, and nobody gets it from us. What
    was removed out of a folder that somebody worked in stays in the trash by itself."""
    await stop(context, item)
    is_worked_in = item.kind is Kind.FOLDER and is_working_folder(context, item.id)
    await context.catalogue.trash(item.id, along=() if is_worked_in else None)


async def stop(context: Context, item: Item) -> list[Item]:
    """Before it goes to the trash: its transfers, and those of what it holds; returns whose they were."""
    stopped = [one for one in await transfers_of(context, item) if one.state is not State.WRITING]
    for one in stopped:
        await context.transfers.stop(one.id)
    return stopped


async def go_on(context: Context, items: Iterable[Item]) -> None:
    """What was not done when its transfer was stopped; and seeding does."""
    for one in items:
        if one.state in (State.QUEUED, State.DOWNLOADING, State.SEEDING):
            await context.transfers.resume(one.id)


async def transfers_of(context: Context, item: Item) -> list[Item]:
    """Whose transfers end with an item, and go on with it: its own, and those of what it holds. A torrent stops as a
    whole where its own folder is concerned, else file by file."""
    rows = [item]
    if item.kind is Kind.FOLDER:
        rows += await context.catalogue.items(list(context.index.below(item.id)))
    active = [row for row in rows if row.state not in (State.COMPLETE, State.SKIPPED)]
    torrents = {row.id for row in active if context.catalogue.is_torrent(row.id)}
    return [row for row in active if row.id in torrents or _is_of_no_other(context, row, torrents)]


def _is_of_no_other(context: Context, row: Item, torrents: set[ItemId]) -> bool:
    torrent = context.catalogue.torrent_of(row.id)
    return row.kind is Kind.FILE and (torrent is None or torrent[0] not in torrents)


async def resume(context: Context, item: Item) -> None:
    """What was paused or has failed goes on: a download, or the storing of what was written here."""
    if not await context.drafts.retry(item):
        await context.transfers.resume(item.id)


async def restore(context: Context, item: ItemId) -> None:
    """Out of /trash, with its tags; a download that was not done goes on, and so does seeding."""
    restored = await context.catalogue.restore(item)
    await go_on(context, await transfers_of(context, restored))


async def link(context: Context, item: ItemId, directory: Directory, name: str) -> None:
    """`ln`: puts the tags of the path on the item, which has one name."""
    row = context.catalogue.item(item)
    if row is None or item not in context.index.live:
        raise OSError(errno.EPERM, "what is in the trash cannot be tagged: take it out first")
    place = place_of(context, directory)
    if isinstance(place, Inside):
        raise OSError(errno.EPERM, "an item is in one folder: copy it, or make a symlink to it with ln -s")
    tags = tags_to_put(context, place)
    if name != row.name and not is_tilde_name(name, row.name, item):
        raise OSError(errno.EPERM, f"an item has one name: link it as {row.name!r}, or rename it with mv")
    if isinstance(directory.place, Everything):
        raise OSError(errno.EEXIST, "every item is in /files already")
    await context.catalogue.edit(item, Edit(add=tags))


async def symlink(context: Context, directory: Directory, name: str, target: str) -> ItemId:
    """`ln -s`: a URL is a download, a path in this mount puts tags on that item, any other path is a symlink item. In a
    folder, where there is no tag to put on, every path is one: archives and repositories hold such links."""
    place = place_of(context, directory)
    tags = _known(context, place.tags) if isinstance(place, Inbox) else tags_to_put(context, place)
    folder = folder_at(place)
    scheme = target.partition(":")[0].lower()
    if scheme in LATER_SCHEMES:
        raise OSError(errno.EOPNOTSUPP, f"downloads by {scheme} are not possible yet: {scheme}")
    if scheme in URL_SCHEMES:
        request = AddRequest([target], name=_name_for_url(name, target), tags=tags, folder=folder)
        return (await context.transfers.add(request)).id
    if isinstance(place, Inbox):
        raise OSError(errno.EPERM, f"only a link to a URL can be made in /inbox, and {target!r} is none")
    inside = inside_mount(context.mountpoint, directory, target) if folder is None else None
    there = None if inside is None else await _led_to(context, inside, target)
    if there is not None:
        item_id = item_of(there)
        if item_id is None:
            raise OSError(errno.EPERM, f"only items can be tagged, and {target!r} is none")
        await link(context, item_id, directory, name)
        return item_id
    new = NewItem(name=new_name_of(name), kind=Kind.SYMLINK, tags=tags, target=target, parent=folder)
    return (await context.catalogue.add(new)).id


async def _led_to(context: Context, inside: str, target: str) -> Node | None:
    """Where a path in this mount leads. A mere name that leads nowhere is a note to somebody, as editors leave them
    (`.#f -> me@host.4711`), and no mistake: None."""
    try:
        return await walk(context, inside)
    except FileNotFoundError:
        if "/" in target:
            raise
        return None


def _name_for_url(name: str, url: str) -> str | None:
    """None, for a name that the source will give: of a magnet link, whose last component is no name.

    The name that `ln -s URL DIR/` makes is the URL's last component: then without its query, percent-decoded.

    A name that the user gave stays as it is; either way it is the name from now on, since it was answered for."""
    if name != url.rstrip("/").rpartition("/")[2]:
        return new_name_of(name)
    if is_magnet(url):
        return None
    plain = unquote(urlsplit(url).path.rpartition("/")[2], errors="surrogateescape")
    safe = plain.replace("/", "_").replace("\0", "_")
    return new_name_of(safe if safe and safe not in (".", "..") else name)


def _known(context: Context, tags: tuple[str, ...]) -> tuple[str, ...]:
    """The tags of a path below /inbox, unless one of them was removed while somebody stood there."""
    for tag in tags:
        if not context.index.has_tag(normalize("NFC", tag)):
            raise OSError(errno.ENOENT, f"there is no tag {tag!r} any more")
    return tags


def new_name_of(name: str) -> str:
    if len(os.fsencode(name)) > NAME_MAX:
        raise OSError(errno.ENAMETOOLONG, f"a name has at most {NAME_MAX} bytes")
    return name


def folder_at(place: Place) -> ItemId | None:
    """The folder that what is put there is in."""
    return place.folder if isinstance(place, Inside) else None


def tags_to_put(context: Context, place: Place) -> Collection[str]:
    match place:
        case Stated(tags):
            return tags
        case Everything():
            return ()
        case Inbox():
            raise OSError(errno.EPERM, "/inbox takes files and links to URLs: tag items below /tags")
        case Trash():
            raise OSError(errno.EPERM, "nothing is made in the trash")
        case Inside(folder) if folder not in context.index.live:
            raise OSError(errno.EPERM, "this folder is in the trash: nothing is made in it")
        case Inside():
            return ()
        case Closed() as closed:
            raise OSError(closed.errno, closed.why)


def own_tags(context: Context, item: ItemId, stated: Stated) -> set[str]:
    """The item's own tags that `stated` means: `year:2000` also means an own `year:2000.0`, and what implies either."""
    own = Names(context.catalogue.tags(item))
    relations = Relations() if stated.literal else context.index.relations
    return {tag for wanted in stated.tags for leaf in relations.implying(wanted) for tag in own.satisfying(leaf)}


async def item_in(context: Context, directory: Directory, name: str) -> Item:
    node: Node = await directory.lookup(name)
    item = item_of(node)
    if item is not None:
        row = context.catalogue.item(item)
        if row is not None:
            return row
    if isinstance(directory.place, Closed) and not isinstance(node, Directory):
        raise OSError(directory.place.errno, directory.place.why)
    raise OSError(errno.EPERM, f"{name!r} is no item: it stays where it is")
