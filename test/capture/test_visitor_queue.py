"""The queue of visitors: one at a time, the others in order of arrival, and an operator who ends a visit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.capture.visits import Visitor, VisitorQueue


def entered(queue: VisitorQueue) -> Visitor:
    visitor = queue.enter()
    assert visitor is not None
    return visitor


def test_visitors_move_up_in_order_of_arrival() -> None:
    queue = VisitorQueue(3)
    assert (queue.state, queue.waiting) == ("free", 0)
    first, second, third = (entered(queue) for _ in range(3))
    assert queue.enter() is None
    assert [queue.before(each) for each in (first, second, third)] == [0, 1, 2]
    assert (queue.state, queue.waiting) == ("taken", 2)
    queue.leave(second)
    assert [queue.before(each) for each in (first, third)] == [0, 1]
    queue.leave(first)
    assert queue.before(third) == 0
    queue.leave(third)
    assert queue.state == "free"


def test_only_who_is_seen_is_sent_away() -> None:
    queue = VisitorQueue(3)
    assert queue.pass_on() == (False, "No visitor's camera is in use.")
    first = entered(queue)
    assert queue.pass_on() == (True, "The visit ends: no one waits.")
    queue.leave(first)
    second, third = entered(queue), entered(queue)
    assert queue.pass_on() == (True, "The next visitor's turn begins.")
    assert (first.sent_away, second.sent_away, third.sent_away) == (True, True, False)


@given(st.lists(st.integers(0, 6), max_size=40))
def test_there_is_always_one_seen_and_never_more_than_there_are_places(moves: list[int]) -> None:
    queue, here = VisitorQueue(4), list[Visitor]()
    for move in moves:
        if move < 4 and move < len(here):
            queue.leave(here.pop(move))
        elif move == 6:
            assert queue.pass_on()[0] is bool(here)
        elif (visitor := queue.enter()) is not None:
            here.append(visitor)
        assert [queue.before(each) for each in here] == list(range(len(here)))
        assert len(here) <= 4
        assert queue.waiting == max(0, len(here) - 1)
