"""What every node can reach. Composed once by `tagfs.app`; trio thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.ports import Blobs, Catalogue, Index, Transfers
from tagfs.vfs import numbers
from tagfs.vfs.drafts import Drafts
from tagfs.vfs.faults import Faults
from tagfs.vfs.inbox import Inbox
from tagfs.vfs.listings import FolderListings
from tagfs.vfs.removals import Removals
from tagfs.vfs.tree import Directory, TextNode
from tagfs.vfs.views import Views


@dataclass(frozen=True, slots=True)
class Context:
    """`store` is the folder of the blobs, for statfs. `mountpoint` is the absolute path of the mount: symlink targets
    below it mean our own items."""

    catalogue: Catalogue
    index: Index
    transfers: Transfers
    blobs: Blobs
    views: Views
    drafts: Drafts
    inbox: Inbox
    store: str
    mountpoint: str
    read_patience: float = 60.0
    onlookers: frozenset[str] = frozenset()  # names of programs whose reading fetches nothing
    facets: bool = False
    degraded: Callable[[], Sequence[str]] = tuple  # a sentence for each service that does not work now
    faults: Faults = field(default_factory=Faults)
    clock: Callable[[], float] = time.time
    started_ns: int = field(default_factory=time.time_ns)
    folder_listings: FolderListings = field(default_factory=FolderListings)
    removals: Removals = field(default_factory=Removals)
    nodes: dict[int, Directory | TextNode] = field(default_factory=dict)  # those with a fixed inode number

    @property
    def root(self) -> Directory:
        root = self.nodes[numbers.ROOT]
        assert isinstance(root, Directory)
        return root
