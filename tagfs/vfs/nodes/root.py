"""The top of the mount. The only place that knows all kinds of directories."""

from __future__ import annotations

from collections.abc import Callable

from tagfs.vfs import numbers
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.blobs import BlobsDirectory
from tagfs.vfs.nodes.files import FilesDirectory
from tagfs.vfs.nodes.fixed import FixedDirectory
from tagfs.vfs.nodes.inbox import InboxDirectory
from tagfs.vfs.nodes.queries import QueriesDirectory
from tagfs.vfs.nodes.relations import RelationsDirectory
from tagfs.vfs.nodes.tags import TagsRoot
from tagfs.vfs.nodes.trash import TrashDirectory
from tagfs.vfs.tree import Directory, TextNode

# Empty files by which indexers and media scanners know what to leave alone: localsearch (formerly tracker) looks for
# the first two, Android's scanner for the second, Spotlight for the third. Not listed, so that walks see items only.
MARKERS = (".trackerignore", ".nomedia", ".metadata_never_index")


def build(context: Context, *, status: Callable[[], str], version: str) -> dict[int, Directory | TextNode]:
    """All nodes with a fixed inode number."""
    texts = {
        "status": TextNode(numbers.STATUS, status),
        "errors": TextNode(numbers.ERRORS, context.faults.text),
        "version": TextNode(numbers.VERSION, lambda: f"{version}\n"),
    }
    listed: dict[str, Directory] = {
        "blobs": BlobsDirectory(context),
        "files": FilesDirectory(context),
        "inbox": InboxDirectory(context, ()),
        "queries": QueriesDirectory(context),
        "relations": RelationsDirectory(context),
        "tags": TagsRoot(context),
        "trash": TrashDirectory(context),
    }
    dot = FixedDirectory(numbers.DOT, (".tagfs",), context.started_ns, texts)
    markers = {name: TextNode(numbers.MARKERS + place, str) for place, name in enumerate(MARKERS)}
    root = FixedDirectory(numbers.ROOT, (), context.started_ns, listed, unlisted={".tagfs": dot, **markers})
    directories: list[Directory] = [root, dot, *listed.values()]
    found = {text.number: text for text in (*texts.values(), *markers.values())}
    return {d.number: d for d in directories} | found
