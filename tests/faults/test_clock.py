"""C13: the clock jumps. Nothing ends before its time, and what is written down is in order again afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.catalogue import open_catalogue
from engine.clock import BUILT, DAY, Ages, Stamps
from tagfs.config.settings import History, Trash
from tagfs.upkeep import PERIOD, Upkeep
from tests.support.world import World, open_world

YEAR = 365 * DAY


@dataclass
class Machine:
    """Its clock, and how long it has been on."""

    date: float
    up: float = 100.0

    def later(self, seconds: float) -> None:
        self.date += seconds
        self.up += seconds


@dataclass
class Home:
    world: World
    machine: Machine
    items: list[int] = field(default_factory=list)

    def upkeep(self) -> Upkeep:
        ages = Ages(lambda: self.machine.date, lambda: self.machine.up)
        return Upkeep(self.world.catalogue, History(keep="365d"), Trash(max_age="30d"), ages=ages)

    def left(self) -> int:
        return sum(self.world.catalogue.item(item) is not None for item in self.items)  # type: ignore[arg-type]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """Three items in the trash, as of now."""
    async with open_world(tmp_path) as world:
        items = [await world.item(f"f{number}") for number in range(3)]
        for item in items:
            await world.catalogue.trash(item.id)
        [last] = await world.catalogue.log(limit=1)
        yield Home(world, Machine(last.at_ns / 10**9), [item.id for item in items])


@pytest.mark.parametrize("jump", [31 * DAY, YEAR, 30 * YEAR, -DAY, -YEAR, -50 * YEAR], ids=str)
async def test_a_clock_that_jumps_ends_nothing(home: Home, jump: float) -> None:
    changes = len(await home.world.catalogue.log())
    upkeep = home.upkeep()
    await upkeep.once()
    home.machine.later(PERIOD)
    home.machine.date += jump
    await upkeep.once()
    assert home.left() == 3
    home.machine.date -= jump  # somebody sets it right
    home.machine.later(PERIOD)
    await upkeep.once()
    assert home.left() == 3
    await home.upkeep().once()  # and so does a daemon that starts
    assert home.left() == 3
    assert len(await home.world.catalogue.log()) == changes


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_a_daemon_that_starts_with_a_wrong_clock_ends_nothing(home: Home, jump: float) -> None:
    home.machine.date += jump
    await home.upkeep().once()
    assert home.left() == 3


@pytest.mark.parametrize("step", [3600.0, -3600.0, 1.0], ids=str)
async def test_what_is_old_ends_whatever_small_steps_the_clock_makes(home: Home, step: float) -> None:
    """Summer time, a leap second, a clock that was a little wrong: at the latest a day later."""
    upkeep = home.upkeep()
    await upkeep.once()
    for day in range(32):
        home.machine.later(PERIOD)
        if day == 29:
            home.machine.date += step
        await upkeep.once()
    assert home.left() == 0


async def test_a_machine_that_was_off_for_long_ends_what_is_old_a_day_later(home: Home) -> None:
    home.machine.date += YEAR
    upkeep = home.upkeep()
    await upkeep.once()
    assert home.left() == 3
    home.machine.later(PERIOD)
    await upkeep.once()
    assert home.left() == 0


async def test_what_is_written_before_the_clock_is_set_is_not_of_1970(tmp_path: Path) -> None:
    now = BUILT + YEAR
    stamps = Stamps(lambda: int(now * 10**9))
    path = str(tmp_path / "catalogue.sqlite")
    async with open_catalogue(path, clock=stamps) as catalogue:
        await catalogue.create_tag("before")
        [last] = await catalogue.log(limit=1)
    now = 60.0  # the next boot, without a network yet
    stamps = Stamps(lambda: int(now * 10**9))
    stamps.newest = last.at_ns
    async with open_catalogue(path, clock=stamps) as catalogue:
        await catalogue.create_tag("after")
        times = [record.at_ns for record in await catalogue.log()]
    assert times == [last.at_ns, last.at_ns]
    now = BUILT + 2 * YEAR
    assert stamps() == int(now * 10**9)
