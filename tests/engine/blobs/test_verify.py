"""The store finds its own damage."""

import os

from engine.blobs import BlobStore
from engine.blobs.verify import damage_of


async def put(store, content):
    name, fd = store.create_staging()
    os.write(fd, content)
    os.close(fd)
    return (await store.ingest(name, {})).sha256


async def test_exactly_the_damaged_and_missing_ones_are_named(tmp_path):
    store = BlobStore(tmp_path)
    names = [await put(store, bytes([n]) * 1000) for n in range(6)]
    rotten, gone = names[1], names[4]
    os.chmod(store.path(rotten), 0o600)
    with open(store.path(rotten), "r+b") as file:
        file.seek(500)
        file.write(b"\xff")
    os.unlink(store.path(gone))
    read = []

    async def progress(count):
        read.append(count)

    damages = [damage for name in names if (damage := await damage_of(store, name, progress, step=300)) is not None]
    assert [(damage.sha256, damage.unreadable) for damage in damages] == [(rotten, False), (gone, True)]
    assert "damaged" in damages[0].reason
    assert "missing" in damages[1].reason
    assert sum(read) == 5000
    assert set(read) == {300, 100}
