"""Content that is in the store already is not fetched again. Trio thread; hashing in threads.

    pieces root known of a blob? ─▶ it is the file      else every blob of the file's size is hashed:
    version 2: by the pieces root, which is remembered      version 1: by the pieces that hold this file's bytes alone

A file that is found becomes a second name of the blob, is complete, and is seeded from there. In version 1 its first
and last piece may hold bytes of neighbours: they count if those are here, too. If not, they have to be fetched, and
since nobody writes to a blob, the torrent gets a copy of its own (shared extents where the file system can).
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from typing import Final

import trio

from engine.ports import Arrived
from engine.sources.torrent.metadata import File
from engine.torrents.adopting import ROOT, witness_of
from engine.torrents.folders import copy_from
from engine.torrents.job import Files, Job
from engine.torrents.witness import MerkleWitness, PieceWitness
from engine.torrents.works import Works
from engine.types import Blob

CANDIDATES: Final = 10  # blobs of one size that are hashed for one file
STEP: Final = 1 << 20
BREATH: Final = 100  # files between two looks at what else there is to do

_log = logging.getLogger(__name__)


async def use_known(works: Works, job: Job, files: Files, have: bytearray) -> None:
    """Files of which nothing is here yet are looked for in the store; `have` gets their pieces."""
    found: dict[int, Blob] = {}
    try:
        for number, index in enumerate(list(files.wanted())):
            if number % BREATH == 0:
                await trio.lowlevel.checkpoint()
            file = files.file(index)
            span = files.layout.pieces(file)
            if index in files.done or not file.size or have.count(1, span.start, span.stop):
                continue
            blob = await _look(works, files, file)
            if blob is not None:
                works.blobs.hold(blob.sha256)
                found[index] = blob
        if found:
            await _use(works, job, files, have, found)
    finally:
        for blob in found.values():
            works.blobs.release(blob.sha256)


async def _look(works: Works, files: Files, file: File) -> Blob | None:
    if file.root is not None:
        blob = works.catalogue.blob_by_digest(ROOT, file.root)
        if blob is not None and file.size == blob.size and await works.blobs.is_sound(blob.sha256, blob.size):
            return blob
    for blob in works.catalogue.blobs_of_size(file.size)[:CANDIDATES]:
        if not await works.blobs.is_sound(blob.sha256, blob.size):
            continue
        if file.root is not None:
            root = await works.disk.run(_root_of, works.blobs.path(blob.sha256))
            await works.catalogue.add_digests(blob.sha256, {ROOT: root})
            if root == file.root:
                return blob
        else:
            witness = witness_of(files, file)
            if isinstance(witness, PieceWitness) and await works.disk.run(
                _agrees, works.blobs.path(blob.sha256), witness
            ):
                return blob
    return None


async def _use(works: Works, job: Job, files: Files, have: bytearray, found: dict[int, Blob]) -> None:
    folder = works.folders.path(job.folder)
    layout = files.layout
    for index in found:
        file = files.file(index)
        inner = layout.inner(file) if file.root is None else layout.pieces(file)
        have[inner.start : inner.stop] = b"\1" * len(inner)
    edges = sorted({piece for index in found for piece in layout.pieces(files.file(index)) if not have[piece]})
    paths = {index: works.blobs.path(blob.sha256) for index, blob in found.items()}
    paths |= {index: os.path.join(folder, str(files.file(index).position)) for index in files.done}
    for piece in await works.disk.run(lambda: list(_right(files, edges, paths))):
        have[piece] = 1
    arrived = []
    for index, blob in found.items():
        file = files.file(index)
        path = os.path.join(folder, str(file.position))
        if layout.covers(layout.pieces(file), have):
            await works.blobs.lend(blob.sha256, path)
            digests = {} if file.root is None else {ROOT: file.root}
            arrived.append((index, Arrived(files.items[index], blob.sha256, blob.size, digests)))
        else:
            await works.disk.run(copy_from, works.blobs.path(blob.sha256), path)
    _log.info("item %d: %d of its files are in the store already", job.item, len(found))
    with trio.CancelScope(shield=True):
        await works.catalogue.complete_many([one for _, one in arrived])
        files.became_blobs(index for index, _ in arrived)


def _right(files: Files, pieces: list[int], paths: dict[int, str]) -> Iterator[int]:
    """In a disk thread: those of `pieces` that can be put together from these files and have the right hash."""
    meta, layout = files.meta, files.layout
    for piece in pieces:
        start = piece * meta.piece_size
        size = layout.piece_bytes(piece)
        data = bytearray(size)  # pads are zeros
        indexes = list(layout.files_of(piece))
        if not all(index in paths for index in indexes):
            continue
        for index in indexes:
            file = files.file(index)
            first, last = max(start, file.offset), min(start + size, file.offset + file.size)
            with open(paths[index], "rb") as stream:
                stream.seek(first - file.offset)
                data[first - start : last - start] = stream.read(last - first)
        digest = hashlib.sha1(data, usedforsecurity=False).digest()
        if len(data) == size and digest == meta.hashes[piece * 20 : piece * 20 + 20]:
            yield piece


def _root_of(path: str) -> str:
    witness = MerkleWitness()
    _show(path, witness)
    return witness.root() or ""


def _agrees(path: str, witness: PieceWitness) -> bool:
    _show(path, witness)
    return witness.agrees()


def _show(path: str, witness: MerkleWitness | PieceWitness) -> None:
    buffer = bytearray(STEP)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            witness.update(view[:count])
