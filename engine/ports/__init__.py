"""The seams of the engine: what each part promises to the others. Protocols only; imports types and errors.

All methods are called on the trio thread. A plain method answers at once from memory or by one indexed point read
(7 µs); an `async` one may wait for a thread. Writes are durable when they return (WAL, synchronous=FULL), the index has
applied them and every observer has settled: nobody can see a stale answer after the call.
"""

from engine.ports.blobs import Blobs, Content, Ingested, LocalBlobs, Pass, Witness
from engine.ports.catalogue import Catalogue
from engine.ports.index import Feed, Index, Opening
from engine.ports.observer import Observer
from engine.ports.transfers import AddRequest, Progress, RangeReader, Transfers
from engine.ports.writes import (
    Arrived,
    Edit,
    FolderFile,
    Look,
    Move,
    NewDownload,
    NewItem,
    NewTorrent,
    Replaced,
    Retagging,
    TorrentFiles,
)

__all__ = [
    "AddRequest",
    "Arrived",
    "Blobs",
    "Catalogue",
    "Content",
    "Edit",
    "Feed",
    "FolderFile",
    "Index",
    "Ingested",
    "LocalBlobs",
    "Look",
    "Move",
    "NewDownload",
    "NewItem",
    "NewTorrent",
    "Observer",
    "Opening",
    "Pass",
    "Progress",
    "RangeReader",
    "Replaced",
    "Retagging",
    "TorrentFiles",
    "Transfers",
    "Witness",
]
