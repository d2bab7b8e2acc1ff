"""The queue: limits, fairness, and a random walk against the rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.transfer.queue import Queue


def drain(queue, now=0.0):
    taken = []
    while (entry := queue.take(now)) is not None:
        taken.append(entry)
    return taken


def test_first_come_first_served_up_to_the_limits():
    queue = Queue(3, 2)
    for n in range(5):
        queue.push(n, "a")
    assert drain(queue) == [0, 1]
    queue.push(5, "b")
    queue.push(6, "b")
    assert drain(queue) == [5]
    queue.release(0)
    assert drain(queue) == [2]  # it is a's turn
    queue.release(1)
    assert drain(queue) == [6]


def test_ten_thousand_of_one_host_do_not_starve_another():
    queue = Queue(2, 2)
    for n in range(10_000):
        queue.push(n, "a")
    queue.push("b", "b")
    assert set(drain(queue)) == {0, "b"}


def test_later_ones_come_when_they_are_due():
    queue = Queue(9, 9)
    queue.push("x", "a", due=5.0)
    queue.push("y", "a", due=3.0)
    assert drain(queue, 2.0) == []
    assert queue.next_due(2.0) == 3.0
    assert drain(queue, 5.0) == ["y", "x"]
    assert queue.next_due(5.0) is None


def test_a_promoted_one_goes_first_and_one_beyond_the_limits():
    queue = Queue(2, 2)
    for n in range(6):
        queue.push(n, "a")
    assert drain(queue) == [0, 1]
    queue.promote(5)
    queue.promote(4)
    assert drain(queue) == [5]
    queue.release(0)
    assert drain(queue) == [4]


def test_promoting_does_not_shorten_a_wait_but_hurrying_does():
    queue = Queue(2, 2)
    queue.push("x", "a", due=100.0)
    queue.promote("x")
    assert drain(queue, 1.0) == []
    queue.hurry("x", 10.0, 1.0)
    queue.hurry("x", 50.0, 1.0)
    assert queue.next_due(1.0) == 10.0
    assert drain(queue, 10.0) == ["x"]


def test_a_host_that_asked_to_be_left_alone():
    queue = Queue(5, 5)
    queue.push("x", "a")
    queue.push("y", "b")
    queue.close_host("a", 10.0)
    queue.promote("x")
    assert drain(queue, 1.0) == ["y"]
    assert queue.next_due(1.0) == 10.0
    assert drain(queue, 10.0) == ["x"]


def test_removed_ones_do_not_come():
    queue = Queue(5, 5)
    queue.push("x", "a")
    queue.push("y", "a", due=5.0)
    queue.promote("x")
    assert queue.remove("x")
    assert queue.remove("y")
    assert not queue.remove("x")
    assert drain(queue, 9.0) == []
    queue.push("y", "a", due=7.0, now=6.0)
    assert drain(queue, 6.5) == []
    assert drain(queue, 7.0) == ["y"]


def test_nothing_is_remembered_of_hosts_that_are_done():
    queue = Queue(5, 5)
    for n in range(100):
        queue.push(n, f"host{n}")
        queue.close_host(f"host{n}", 1.0)
    drain(queue, 2.0)
    for n in range(100):
        if n in queue.active:
            queue.release(n)
        else:
            queue.remove(n)
    drain(queue, 2.0)
    queue.next_due(2.0)
    assert queue._hosts == {}


@pytest.mark.parametrize("count", [10_000])
def test_memory_and_time_are_linear(count):
    queue = Queue(10, 2)
    for n in range(count):
        queue.push(n, f"host{n % 500}")
    done = 0
    while taken := drain(queue):
        done += len(taken)
        for entry in taken:
            queue.release(entry)
    assert done == count


@settings(max_examples=200)
@given(st.data())
def test_random_walk(data):
    """Never above the limits, never idle while something may run, nothing lost, nothing twice."""
    queue = Queue(3, 2)
    now, count = 0.0, 0
    waiting: dict[int, tuple[str, float]] = {}
    closed: dict[str, float] = {}
    promoted: set[int] = set()
    for _ in range(data.draw(st.integers(1, 60))):
        action = data.draw(st.sampled_from(["push", "push", "take", "release", "remove", "promote", "close", "tick"]))
        if action == "push":
            count += 1
            host, due = data.draw(st.sampled_from("abc")), now + data.draw(st.sampled_from([0.0, 0.0, 3.0]))
            queue.push(count, host, due=due, now=now)
            waiting[count] = (host, due)
        elif action == "take":
            entry = queue.take(now)
            normal = [e for e, (h, due) in waiting.items() if due <= now and closed.get(h, 0) <= now
                      and queue.active_at(h) < 2 and len(queue.active) < 3]  # fmt: skip
            if entry is None:
                assert not normal
            else:
                host, due = waiting.pop(entry)
                assert due <= now
                assert closed.get(host, 0) <= now
                extra = 1 if entry in promoted else 0
                assert queue.active_at(host) <= 2 + extra
                assert len(queue.active) <= 3 + extra
        elif action == "release" and queue.active:
            queue.release(data.draw(st.sampled_from(sorted(queue.active))))
        elif action == "remove" and waiting:
            entry = data.draw(st.sampled_from(sorted(waiting)))
            assert queue.remove(entry)
            del waiting[entry]
        elif action == "promote" and waiting:
            entry = data.draw(st.sampled_from(sorted(waiting)))
            queue.promote(entry)
            promoted.add(entry)
        elif action == "close":
            host = data.draw(st.sampled_from("abc"))
            queue.close_host(host, now + 2)
            closed[host] = max(closed.get(host, 0), now + 2)
        elif action == "tick":
            now += data.draw(st.sampled_from([0.5, 1.0, 4.0]))
        assert all((entry in queue) == (entry in waiting) for entry in range(1, count + 1))
