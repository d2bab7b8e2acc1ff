"""Who may bring tags along to a file that was just written, and for how long."""

from engine.types import ItemId
from tagfs.vfs.newcomers import MOST, PATIENCE, Newcomers

FILE, OTHER, ME, YOU = ItemId(4096), ItemId(4097), 100, 200


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_program_that_wrote_it_for_a_while_after_the_last_close() -> None:
    clock = Clock()
    newcomers = Newcomers(clock)
    newcomers.made(FILE, ["a", "b"], ME)
    clock.now = 1000.0  # however long the writing takes
    assert newcomers.stated(FILE, ME) == {"a", "b"}
    assert newcomers.stated(FILE, YOU) == newcomers.stated(OTHER, ME) == frozenset()
    newcomers.closed(FILE)
    newcomers.closed(OTHER)
    clock.now += PATIENCE
    assert newcomers.stated(FILE, ME) == {"a", "b"}
    newcomers.closed(FILE)
    clock.now += PATIENCE + 0.1
    assert newcomers.stated(FILE, ME) == frozenset()


def test_only_so_many_are_remembered() -> None:
    newcomers = Newcomers(Clock())
    for number in range(MOST + 10):
        newcomers.made(ItemId(FILE + number), ["a"], ME)
    known = [number for number in range(MOST + 10) if newcomers.stated(ItemId(FILE + number), ME)]
    assert known == list(range(10, MOST + 10))


def test_those_that_are_over_make_room() -> None:
    clock = Clock()
    newcomers = Newcomers(clock)
    for number in range(10):
        newcomers.made(ItemId(FILE + number), ["a"], ME)
        newcomers.closed(ItemId(FILE + number))
    clock.now = PATIENCE + 1
    newcomers.made(OTHER, ["b"], ME)
    assert list(newcomers._made) == [OTHER]
