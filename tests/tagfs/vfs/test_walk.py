"""Where the target of a symlink leads, by its text alone."""

from __future__ import annotations

import errno

import pytest

from tagfs.vfs import edits
from tagfs.vfs.tree import BlobNode, Directory, ItemNode
from tagfs.vfs.walk import inside_mount, walk
from tests.support.world import MOUNTPOINT, World

INSIDE = [
    ("tags/a", "../../files/f", "/files/f"),
    ("tags/a", "../b/./f", "/tags/b/f"),
    ("tags/a", "f", "/tags/a/f"),
    ("tags/a", ".", "/tags/a"),
    ("tags/a", "../..", "/"),
    ("tags/a", MOUNTPOINT, "/"),
    ("tags/a", MOUNTPOINT + "/", "/"),
    ("tags/a", f"{MOUNTPOINT}/files/../files/f", "/files/f"),
    ("tags/a", f"{MOUNTPOINT}//files///f", "/files/f"),
    ("tags/a", f"/{MOUNTPOINT}/files/f", "/files/f"),
    ("tags/a", "../../../mnt/files/f", "/files/f"),
    ("files", "f", "/files/f"),
]
OUTSIDE = [
    ("tags/a", "../../.."),
    ("tags/a", "../../../mnt2/files/f"),
    ("tags/a", f"{MOUNTPOINT}2/files/f"),
    ("tags/a", f"{MOUNTPOINT}/../other"),
    ("tags/a", "/"),
    ("tags/a", "/etc/passwd"),
    ("tags/a", "//etc"),
    ("tags/a", "../../../../../../../../../x"),
    ("files", "../.."),
]


@pytest.mark.parametrize(("place", "target", "leads_to"), INSIDE)
async def test_targets_in_the_mount(world: World, place: str, target: str, leads_to: str) -> None:
    await world.item("f", "a", "b")
    directory = await world.directory(place)
    assert inside_mount(MOUNTPOINT, directory, target) == leads_to


@pytest.mark.parametrize(("place", "target"), OUTSIDE)
async def test_targets_elsewhere(world: World, place: str, target: str) -> None:
    await world.item("f", "a")
    directory = await world.directory(place)
    assert inside_mount(MOUNTPOINT, directory, target) is None


async def test_a_mount_at_the_root_of_a_disk(world: World) -> None:
    directory = await world.directory("files")
    assert inside_mount("/mnt", directory, "/mnt/files/f") == "/files/f"
    assert inside_mount("/mnt", directory, "/mn") is None


async def test_walking(world: World) -> None:
    item = await world.item("f", "a", "b")
    assert await walk(world.context, "/files/f") == ItemNode(item.id)
    assert await walk(world.context, "tags/a/+/b/f") == ItemNode(item.id)
    assert await walk(world.context, "queries/a and b/f") == ItemNode(item.id)
    assert isinstance(await walk(world.context, f"blobs/{item.sha256}"), BlobNode)
    assert isinstance(await walk(world.context, "/"), Directory)
    for path, number in (("files/none", errno.ENOENT), ("files/f/x", errno.ENOTDIR), ("tags/a/}", errno.EINVAL)):
        with pytest.raises(OSError, check=lambda error, number=number: error.errno == number):
            await walk(world.context, path)


async def test_ln_s_puts_the_tags_on_what_the_target_names(world: World) -> None:
    item = await world.item("f", "a")
    await world.catalogue.create_tag("b")
    directory = await world.directory("tags/b")
    for target in ("../a/f", "../../files/f", f"{MOUNTPOINT}/files/f", f"../a/f~{item.id}"):
        assert await edits.symlink(world.context, directory, "f", target) == item.id
    assert world.catalogue.tags(item.id) == ("a", "b")


@pytest.mark.parametrize(
    ("target", "number"),
    [
        ("../a", errno.EPERM),
        ("../../blobs", errno.EPERM),
        (MOUNTPOINT, errno.EPERM),
        ("../../files/none", errno.ENOENT),
        ("../a/}/f", errno.EINVAL),
        ("../../trash/gone", errno.EPERM),
        ("ftps://example.org/f", errno.EOPNOTSUPP),
    ],
)
async def test_ln_s_of_what_cannot_be_tagged_changes_nothing(world: World, target: str, number: int) -> None:
    await world.item("f", "a")
    gone = await world.item("gone", "a")
    await world.catalogue.trash(gone.id)
    await world.catalogue.create_tag("b")
    directory = await world.directory("tags/b")
    with pytest.raises(OSError, check=lambda error: error.errno == number):
        await edits.symlink(world.context, directory, "f", target)
    assert await world.names("tags/b") == []
    assert len(world.index.live) == 1


@pytest.mark.parametrize(
    ("typed", "url", "name"),
    [
        ("debian.iso", "https://example.org/x/debian.iso", "debian.iso"),
        ("mine.iso", "https://example.org/x/debian.iso", "mine.iso"),
        ("f.bin?token=s3cret", "https://example.org/f.bin?token=s3cret", "f.bin"),
        ("a%20b.txt", "https://example.org/a%20b.txt", "a b.txt"),
        ("%2e%2e", "https://example.org/%2e%2e", "%2e%2e"),
        ("a%2Fb", "https://example.org/a%2Fb", "a_b"),
        ("example.org", "https://example.org", "example.org"),
        ("x", "https://example.org/x/", "x"),
        ("f%ff", "https://example.org/f%ff", "f\udcff"),
    ],
)
async def test_the_name_of_a_download_by_ln_s(world: World, typed: str, url: str, name: str) -> None:
    directory = await world.directory("files")
    item = world.catalogue.item(await edits.symlink(world.context, directory, typed, url))
    assert item is not None
    assert item.name == name
