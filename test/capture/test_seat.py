"""The seat of visitors: one at a time, the others in order of arrival, and an operator who ends a visit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.capture.visits import Seat, Visitor


def entered(seat: Seat) -> Visitor:
    visitor = seat.enter()
    assert visitor is not None
    return visitor


def test_visitors_move_up_in_order_of_arrival() -> None:
    seat = Seat(3)
    assert (seat.state, seat.waiting) == ("free", 0)
    first, second, third = (entered(seat) for _ in range(3))
    assert seat.enter() is None
    assert [seat.before(each) for each in (first, second, third)] == [0, 1, 2]
    assert (seat.state, seat.waiting) == ("taken", 2)
    seat.leave(second)
    assert [seat.before(each) for each in (first, third)] == [0, 1]
    seat.leave(first)
    assert seat.before(third) == 0
    seat.leave(third)
    assert seat.state == "free"


def test_only_who_is_seen_is_sent_away() -> None:
    seat = Seat(3)
    assert seat.pass_on() == (False, "No visitor's camera is in use.")
    first = entered(seat)
    assert seat.pass_on() == (True, "The visit ends: no one waits.")
    seat.leave(first)
    second, third = entered(seat), entered(seat)
    assert seat.pass_on() == (True, "The next visitor's turn begins.")
    assert (first.sent_away, second.sent_away, third.sent_away) == (True, True, False)


@given(st.lists(st.integers(0, 6), max_size=40))
def test_there_is_always_one_seen_and_never_more_than_there_are_places(moves: list[int]) -> None:
    seat, here = Seat(4), list[Visitor]()
    for move in moves:
        if move < 4 and move < len(here):
            seat.leave(here.pop(move))
        elif move == 6:
            assert seat.pass_on()[0] is bool(here)
        elif (visitor := seat.enter()) is not None:
            here.append(visitor)
        assert [seat.before(each) for each in here] == list(range(len(here)))
        assert len(here) <= 4
        assert seat.waiting == max(0, len(here) - 1)
