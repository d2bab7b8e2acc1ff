"""add_file: what a file names, over the real queue, of which nothing is started here."""

from __future__ import annotations

from base64 import b64encode

import pytest

from engine.types import State
from tagfs.control.errors import Code, VerbError
from tagfs.service.verbs import Service
from tests.support.world import World

SHA256 = "ab" * 32
META4 = f"""<metalink xmlns="urn:ietf:params:xml:ns:metalink">
<file name="a"><hash type="sha-256">{SHA256}</hash><url>https://one.example/a</url><url priority="1">https://two.example/a</url></file>
<file name="b"><url>https://one.example/b</url></file></metalink>"""


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


async def test_a_metalink_makes_an_item_of_each_file(world: World, service: Service) -> None:
    added = await service.add_file(
        "x.meta4", base64(META4), tags=("t",), options={"any-type": "yes", "public-only": "yes"}
    )
    assert [(view.name, view.tags, view.state) for view in added.items] == [
        ("a", ("t",), "queued"),
        ("b", ("t",), "queued"),
    ]
    first = added.items[0]
    assert [source.url for source in world.catalogue.sources(first.id)] == [
        "https://two.example/a",
        "https://one.example/a",
    ]
    download = world.catalogue.download(first.id)
    assert download is not None
    assert (download.digests, download.options) == (
        {"sha256": SHA256},
        {"any-type": "yes", "public-only": "yes"},
    )


async def test_the_good_lines_of_a_list_are_added(world: World, service: Service) -> None:
    text = "https://h/1\nnothing\nhttps://h/3\n out=c\n pause=true\n dir=/x\n"
    added = await service.add_file("standard input.txt", base64(text))
    assert [(view.name, view.state) for view in added.items] == [("1", "queued"), ("c", "paused")]
    assert [sentence[:6] for sentence in (*added.faults, *added.notes)] == ["Line 2", "Line 6"]


async def test_a_long_list_keeps_its_order(world: World, service: Service) -> None:
    names = [f"{number:03}" for number in range(200)]
    added = await service.add_file("l.txt", base64("".join(f"https://h/{name}\n" for name in names)))
    assert [view.name for view in added.items] == names


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("x.pdf", base64("%PDF"), {}),
        ("x.txt", "no base64!", {}),
        ("x.txt", base64("https://h/1"), {"tags": (".bad",)}),
        ("x.txt", base64("https://h/1\nhttps://h/2"), {"options": {"unheard of": "1"}}),
        ("x.txt", base64("https://h/1\n\nhttps://h/2\n out=b\n header=A: \x01\r"), {"select": "1-3"}),
    ],
)
async def test_what_cannot_be_added_makes_nothing(
    world: World, service: Service, name: str, content: str, more: dict[str, object]
) -> None:
    with pytest.raises(VerbError) as caught:
        await service.add_file(name, content, **more)
    assert caught.value.code is Code.BAD_REQUEST
    assert not world.index.live


async def test_when_one_cannot_be_added_those_before_it_are_ended(world: World, service: Service) -> None:
    await service.add(("https://h/stays",))
    lines = [f"https://h/{number}\n out={number}\n" for number in range(40)]
    lines[35] += " header=Bad: a\x00b\n"
    with pytest.raises(VerbError):
        await service.add_file("l.txt", base64("".join(lines)))
    assert await world.names("files") == ["stays"]
    assert await world.names("trash") == []
    assert [world.catalogue.item(item).state for item in world.index.live] == [State.QUEUED]
