"""What all directories of items share: a name to an item and back, attributes, listings. Trio thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pyroaring import BitMap

from engine.types import Item, ItemId, Kind, State
from tagfs.vfs import attr
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.lines import Lines
from tagfs.vfs.names import show, tilde_ids, tilde_name
from tagfs.vfs.tree import Entry, FolderNode, ItemNode


def find(context: Context, name: str, same_name: Sequence[ItemId], member: Callable[[ItemId], bool]) -> ItemId | None:
    """The item that `name` means: the oldest member of that name, else `stem~ID.ext` of a member. Instant."""
    for item in same_name:
        if member(item):
            return item
    for item, extra in tilde_ids(name):
        row = context.catalogue.item(item)
        if row is not None and tilde_name(row.name, item, extra) == name and member(item):
            return item
    return None


def item_attr(context: Context, item: Item) -> Attr:
    """Of a whole item from its row; of an arriving one from its transfer, of one being written from its file."""
    draft = context.drafts.get(item.id)
    if draft is not None:
        return attr.of_item(item, size=draft.length(), mtime_ns=draft.changed_ns())._replace(changing=True)
    if item.state.whole or item.kind is not Kind.FILE or item.state is State.WRITING:
        return attr.of_item(item)
    reader = context.transfers.reader(item.id)
    size = item.size if reader is None or reader.size is None else reader.size
    if size is None:
        size = context.drafts.pages.size_of(item.id)
    if reader is None:
        return attr.of_item(item, size=size, present=0)
    present = reader.present
    return attr.of_item(item, size=present if size is None else size, present=present)


def entries(context: Context, items: Iterable[Item], hidden: Callable[[str], bool]) -> list[Entry]:
    """A listing of `items`, which come oldest first."""
    return [_entry(context, name, item) for name, item in show(items, hidden)]


async def read_lines(context: Context, items: BitMap) -> Lines:
    """A listing of those that there are, with the names that they have. What changes meanwhile may be in it or not."""
    lines = Lines()
    for found in await context.catalogue.columns(items.to_array().tolist()):
        rows = dict(found.others)
        for item in found.ids if context.drafts.any() else ():
            if context.drafts.get(ItemId(item)) is not None and (row := context.catalogue.item(ItemId(item))):
                rows[item] = row
        lines.add(found, {item: _entry(context, row.name, row) for item, row in rows.items()})
    return lines


def _entry(context: Context, name: str, item: Item) -> Entry:
    node = FolderNode(item.id) if item.kind is Kind.FOLDER else ItemNode(item.id)
    return Entry(name, node, item_attr(context, item))
