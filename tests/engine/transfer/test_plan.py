"""The plan: examples, and a simulated download that must always end, serving readers on its way."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.transfer.plan import Running, Start, Stop, View, plan, worth_going_on
from engine.transfer.ranges import RangeMap

DEFAULTS = {
    "size": 1000,
    "running": (),
    "wanted": (),
    "soon": (),
    "seekable": True,
    "spare": 3,
    "near": 10,
    "window": 100,
    "skip": 20,
}


def view(have="", **fields):
    return View(have=RangeMap.parse(have), **{**DEFAULTS, **fields})


def main(at, start=0, end=None):
    return Running(1, start, at, end, True)


def beside(number, at, end, start=None):
    return Running(number, at if start is None else start, at, end, False)


def test_begins_at_the_beginning():
    assert plan(view(size=None, seekable=False)) == [Start(0, None, main=True)]


def test_goes_on_at_the_first_hole():
    assert plan(view("0-300")) == [Start(300, None, main=True)]


def test_stops_before_a_long_stretch_that_is_here_and_reads_over_a_short_one():
    assert plan(view("0-300,500-600")) == [Start(300, 500, main=True)]
    assert plan(view("0-300,500-510")) == [Start(300, None, main=True)]
    assert plan(view("0-300,500-510,700-800")) == [Start(300, 700, main=True)]
    assert plan(view("0-300,990-1000")) == [Start(300, 990, main=True)]


def test_nothing_to_do_when_all_is_here_or_on_its_way():
    assert plan(view("0-1000")) == []
    assert plan(view("0-300", running=(main(300),))) == []
    assert plan(view("0-900", running=(beside(2, 900, 1000),))) == []


def test_a_reader_far_away_gets_a_connection():
    assert plan(view("0-300", running=(main(300),), wanted=((950, 960),))) == [Start(950, 1000, main=False)]
    assert plan(view("0-300", running=(main(300),), wanted=((500, 510),))) == [Start(500, 600, main=False)]
    assert plan(view("0-300,540-900", running=(main(300),), wanted=((500, 510),))) == [Start(500, 540, main=False)]


def test_a_reader_near_a_connection_waits_for_it():
    assert plan(view("0-300", running=(main(300),), wanted=((305, 320),))) == []
    assert plan(view("0-300", running=(main(300), beside(2, 500, 600)), wanted=((505, 520),))) == []


def test_the_first_hole_of_what_is_wanted_counts():
    assert plan(view("0-300,500-510", running=(main(300),), wanted=((500, 520),))) == [Start(510, 610, main=False)]


def test_two_readers_of_one_place_get_one_connection():
    assert len(plan(view("0-300", running=(main(300),), wanted=((900, 910), (905, 910), (900, 910))))) == 1


def test_at_most_the_spare_ones():
    wanted = tuple((n, n + 1) for n in range(400, 900, 100))
    actions = plan(view("0-300", running=(main(300),), wanted=wanted))
    assert actions == [Start(n, n + 100, main=False) for n in (400, 500, 600)]


def test_one_that_serves_nobody_is_moved():
    running = (main(300), beside(2, 420, 500), beside(3, 620, 700), beside(4, 820, 900))
    actions = plan(view("0-300", running=running, wanted=((425, 430), (960, 970))))
    assert actions == [Stop(3), Start(960, 1000, main=False)]


def test_where_none_may_be_opened_the_main_one_moves():
    actions = plan(view("0-300", running=(main(300),), spare=0, wanted=((900, 910),)))
    assert actions == [Stop(1), Start(900, None, main=True)]


def test_it_does_not_move_while_somebody_needs_it():
    running = (main(300),)
    assert plan(view("0-300", running=running, spare=0, wanted=((300, 310), (900, 910)))) == []


def test_without_ranges_everybody_waits_for_the_main_one():
    assert plan(view("0-300", running=(main(300),), seekable=False, wanted=((900, 910),))) == []


def test_reading_ahead_waits_until_half_of_it_is_missing():
    assert plan(view("0-300,500-600", running=(main(300),), soon=((540, 640),))) == []
    assert plan(view("0-300,500-560", running=(main(300),), soon=((540, 640),))) == [Start(560, 660, main=False)]


def test_the_main_one_leaves_others_their_stretch():
    assert plan(view("0-300", running=(beside(2, 400, 500),))) == [Start(300, 400, main=True)]
    assert plan(view("0-400", running=(beside(2, 400, 500),))) == [Start(500, None, main=True)]


def another(number, start, at=None, end=None):
    return Running(number, start, start if at is None else at, end, True)


def test_a_further_main_one_takes_half_of_what_is_left():
    assert plan(view("0-200", running=(main(200),), wish=2, least=10)) == [Start(600, None, main=True)]
    running = (main(200), another(2, 600))
    assert plan(view("0-200", running=running, wish=2, least=10)) == []
    assert plan(view("0-200", running=running, wish=3, least=10)) == [Start(400, 600, main=True)]
    assert plan(view("0-200", running=running, wish=4, least=10)) == [
        Start(400, 600, main=True),
        Start(800, None, main=True),
    ]


def test_a_hole_that_is_nobodys_goes_before_a_smaller_half():
    running = (main(200, end=300),)
    assert plan(view("0-200,300-500", running=running, wish=2, least=10)) == [Start(500, None, main=True)]
    running = (main(0),)
    assert plan(view("700-800", running=(main(0, end=700),), wish=2, least=10)) == [Start(350, 700, main=True)]
    assert plan(view("", running=running, wish=2, least=600)) == []


def test_what_one_has_left_ends_where_a_long_stretch_is_here():
    running = (main(200, end=None),)
    assert plan(view("0-200,400-900", running=running, wish=2, least=10)) == [Start(300, 400, main=True)]
    assert plan(view("0-200,250-900", running=running, wish=2, least=10)) == [Start(900, None, main=True)]


def test_one_that_overshot_has_nothing_left():
    running = (main(605), another(2, 600, at=650))
    assert plan(view("0-650", running=running, wish=3, least=10)) == [Start(825, None, main=True)]


def test_further_ones_need_a_size_and_ranges():
    assert plan(view("0-200", running=(main(200),), wish=5, size=None)) == []
    assert plan(view("0-200", running=(main(200),), wish=5, seekable=False)) == []


def test_too_little_is_not_divided():
    assert plan(view("0-990", running=(main(990),), wish=2, least=6)) == []


def test_a_window_ends_where_another_main_one_works():
    running = (main(300), another(2, 600))
    actions = plan(view("0-300", running=running, wish=2, wanted=((550, 560),)))
    assert actions == [Start(550, 600, main=False)]


def test_a_main_one_ends_where_a_later_one_began():
    have = RangeMap.parse("0-300")
    later = another(2, 600, at=650)
    assert not worth_going_on(main(600), (later,), have, 20)
    assert worth_going_on(main(599), (later,), have, 20)
    assert worth_going_on(another(2, 600, at=700), (main(300),), have, 20)


def test_on_demand_nothing_runs_that_nobody_wants():
    assert plan(view("0-300", wish=0)) == []
    assert plan(view("0-300", running=(main(300),), wish=0)) == [Stop(1)]
    assert plan(view("0-300", running=(main(300),), wish=0, wanted=((305, 330),))) == []
    assert plan(view("0-300", running=(main(300),), wish=0, soon=((305, 330),))) == []
    actions = plan(view("0-300", running=(main(300),), wish=0, wanted=((700, 710),)))
    assert actions == [Start(700, 800, main=False), Stop(1)]


def test_on_demand_without_ranges_all_is_fetched():
    assert plan(view(size=None, seekable=False, wish=0)) == [Start(0, None, main=True)]


def test_when_to_stop_reading():
    have = RangeMap.parse("0-300,400-500,600-610")
    assert worth_going_on(main(300), (), have, 20)
    assert not worth_going_on(main(400), (), have, 20)
    assert worth_going_on(main(600), (), have, 20)
    assert not worth_going_on(main(350), (beside(2, 340, 380, 320),), have, 20)
    assert worth_going_on(beside(2, 350, 400), (main(350),), have, 20)


SIZE = 300


@settings(max_examples=300)
@given(st.data(), st.integers(0, 3), st.booleans(), st.integers(1, 4))
def test_a_download_always_ends_and_readers_are_served(data, spare, seekable, wish):
    """Connections bring bytes in any order the test likes; readers come and go. Each byte comes about once."""
    have = RangeMap(
        data.draw(st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=4)) if seekable else ()
    )
    running: dict[int, list] = {}
    wanted: list[tuple[int, int]] = []
    to_fetch, fetched, count = SIZE - have.total, 0, 0
    for step in range(5000):
        if have.covers(0, SIZE):
            break
        while True:  # plans are carried out until they have nothing to say
            now = view(
                size=SIZE, running=tuple(Running(n, *c) for n, c in running.items()), wanted=tuple(wanted),
                seekable=seekable, spare=spare, near=5, window=40, skip=8, wish=wish, least=10,
            )  # fmt: skip
            now = View(**{**{f: getattr(now, f) for f in View.__slots__}, "have": have})
            actions = plan(now)
            if not actions:
                break
            assert sum(isinstance(a, Start) for a in actions) <= spare + wish
            for action in actions:
                if isinstance(action, Start):
                    assert action.at < SIZE
                    assert action.end is None or action.at < action.end <= SIZE
                    assert not seekable or not have.covers(action.at, action.at + 1)
                if isinstance(action, Stop):
                    del running[action.id]
                else:
                    count += 1
                    assert count < 2000, f"the plan goes round in circles: {now} {actions}"
                    start = action.at if seekable else 0
                    running[count] = [start, start, action.end, action.main]
        assert sum(c[3] for c in running.values()) <= (wish if seekable else 1)
        assert sum(not c[3] for c in running.values()) <= spare
        assert running, "nothing runs, and not all is here"
        number = data.draw(st.sampled_from(sorted(running))) if step < 60 else min(running)
        connection = running[number]
        size = data.draw(st.integers(1, 30)) if step < 60 else 10
        end = min(connection[1] + size, SIZE if connection[2] is None else connection[2])
        have.add(connection[1], end)
        fetched += end - connection[1]
        connection[1] = end
        me = Running(number, *connection)
        others = [Running(n, *c) for n, c in running.items() if n != number]
        if end == (connection[2] or SIZE) or (seekable and not worth_going_on(me, others, have, 8)):
            del running[number]
        wanted = [(a, b) for a, b in wanted if not have.covers(a, b)]
        if step < 60 and len(wanted) < 4 and data.draw(st.booleans()):
            at = data.draw(st.integers(0, SIZE - 1))
            wanted.append((at, min(at + 5, SIZE)))
            wanted = [(a, b) for a, b in wanted if not have.covers(a, b)]
    assert have.covers(0, SIZE)
    assert not seekable or fetched <= to_fetch + 40 * (count + 1)
