"""At whom the face looks among several people."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from engine_drive import MS, TICK, every, line_of_sight, listening, run, stack, target
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.expression.attention import NEWCOMER_S, SHORTEST_S, Attention
from reactdiff_ros.types import People, PersonSeen

S = 1000 * MS
PLACES = {1: -0.5, 2: 0.0, 3: 0.5}


def person(number: int, **beliefs: float) -> PersonSeen:
    values = {"speaking": 0.0, "attention": 0.8, "addressed": 0.0, **beliefs}
    x = PLACES.get(number, 0.2 * number)
    return PersonSeen(number, np.array([x, 0.0, 1.0], np.float32), **values)


def people(now: int, persons: list[PersonSeen], *, target: int = 1, robot_addressed: float = 0.0) -> People:
    return People(now - 30 * MS, tuple(persons), target, robot_addressed)


def looks(seen: Callable[[int], People], *, seconds: float = 400.0, speaks: bool = False) -> np.ndarray:
    """Whose place was looked at, per tick; a picture every 40 ms."""
    attention = Attention(np.random.default_rng(0))
    focus, result = 0, []
    for i in range(round(seconds * 50)):
        now = i * TICK
        if i % 2 == 0:
            attention.push(seen(now), now)
        where = attention.advance(now, speaks=speaks)
        if where is not None:
            focus = next(p.person_id for p in seen(now).persons if np.array_equal(p.position_m, where.position_m))
        result.append(focus)
    return np.array(result)


def dwells(looked: np.ndarray) -> np.ndarray:
    """Seconds between changes of the look, without the last."""
    return np.diff(np.flatnonzero(np.diff(looked))) * 0.02


def test_most_at_who_speaks_now_and_then_at_who_is_spoken_to() -> None:
    looked = looks(lambda now: people(now, [person(1, speaking=0.9), person(2, addressed=0.9), person(3)]))
    shares = {n: (looked == n).mean() for n in (1, 2, 3)}
    assert 0.6 < shares[1] < 0.8
    assert 0.12 < shares[2] < 0.32
    assert 0.03 < shares[3] < 0.18
    assert dwells(looked).min() >= SHORTEST_S - 0.001


def test_who_speaks_to_the_robot_gets_nearly_all() -> None:
    seen = lambda now: people(now, [person(1, speaking=0.9), person(2, addressed=0.2)], robot_addressed=0.9)  # noqa: E731
    assert (looks(seen) == 1).mean() > 0.8


def test_a_robot_that_speaks_shares_its_look_among_its_listeners() -> None:
    looked = looks(lambda now: people(now, [person(1), person(2), person(3)]), speaks=True)
    shares = [(looked == n).mean() for n in (1, 2, 3)]
    assert min(shares) > 0.18
    assert max(shares) < 0.6
    assert np.argmax(shares) == 0, "most at the one whom it listened to"


def test_a_change_of_speaker_is_followed_within_a_second() -> None:
    def seen(now: int) -> People:
        first = now // (5 * S) % 2 == 0
        return people(
            now, [person(1, speaking=0.9 * first), person(2, speaking=0.9 * (not first))], robot_addressed=1.0
        )

    looked = looks(seen, seconds=300)
    late = [
        next(k for k in range(250) if looked[i + k] == (1 if i // 250 % 2 == 0 else 2)) for i in range(250, 14750, 250)
    ]
    assert max(late) * 0.02 <= SHORTEST_S + 0.2
    assert np.median(late) * 0.02 <= 0.25


def test_a_newcomer_gets_a_look_of_about_a_second() -> None:
    came = 20 * S
    looked = looks(lambda now: people(now, [person(1, speaking=0.9), person(2), *([person(3)] if now >= came else [])]),
                   seconds=22)  # fmt: skip
    after = looked[1000:1100]
    begin = int(np.flatnonzero(after == 3)[0])
    assert begin * 0.02 <= SHORTEST_S + 0.05
    length = int(np.flatnonzero(after[begin:] != 3)[0]) * 0.02 if (after[begin:] != 3).any() else 2.0
    assert length >= NEWCOMER_S - 0.021
    assert (looked[:1000] != 3).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_never_flips_faster_than_0_6_s_whatever_comes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crowd = {"now": people(0, [person(1), person(2)])}

    def seen(now: int) -> People:
        if rng.random() < 0.1 and now % (40 * MS) == 0:
            who = [n for n in (1, 2, 3, 4, 5) if rng.random() < 0.6]
            beliefs = lambda: {k: float(rng.random()) for k in ("speaking", "attention", "addressed")}  # noqa: E731
            crowd["now"] = people(now, [person(n, **beliefs()) for n in who], target=int(rng.integers(-1, 6)))
        return crowd["now"]

    attention = Attention(np.random.default_rng(seed))
    changes, last = [], None
    for i in range(400):
        now = i * TICK
        attention.push(seen(now), now)
        before = attention.among
        where = attention.advance(now, speaks=bool(rng.random() < 0.3))
        if where is not None and before:
            x = float(where.position_m[0])
            if last is not None and x != last:
                changes.append(now)
            last = x
        elif not attention.among:
            last = None
    assert all(b - a >= SHORTEST_S * S - 1 for a, b in itertools.pairwise(changes))


def test_with_one_person_the_gaze_is_todays_bit_for_bit() -> None:
    def faces(crowd: list[PersonSeen] | None) -> np.ndarray:
        engine = ExpressionEngine(seed=6)
        more = [] if crowd is None else [every(40, lambda now: engine.on_people(people(now, crowd), now))]
        return stack(run(engine, 8.0, listening(engine), *more))

    unplaced = PersonSeen(2, None, 0.9, 1.0, 1.0)
    plain = faces(None)
    assert np.array_equal(plain, faces([]))
    assert np.array_equal(plain, faces([person(1, speaking=1.0)]))
    assert np.array_equal(plain, faces([person(1), unplaced]))


def test_the_eyes_go_to_who_speaks_and_back_to_one_who_is_left() -> None:
    engine = ExpressionEngine(seed=1)

    def push(now: int) -> None:
        engine.on_gaze_target(target(now - 30 * MS, x=-0.5), now)
        engine.on_people(people(now, [person(1), *([person(3, speaking=0.9)] if now < 4 * S else [])]), now)
        engine.on_speaking(True, now)

    yaw = np.degrees(line_of_sight(stack(run(engine, 8.0, every(40, push))))[0])
    assert np.median(yaw[50:200]) == pytest.approx(-27, abs=6), "person 3 is 27 degrees to the robot's right"
    assert np.median(yaw[250:]) == pytest.approx(27, abs=6)


def test_malformed_people_are_refused() -> None:
    engine = ExpressionEngine(seed=1)
    with pytest.raises(MessageError, match="person 1"):
        engine.on_people(people(0, [person(1, speaking=float("nan"))]), 0)
    with pytest.raises(MessageError, match="gaze target"):
        engine.on_people(people(0, [PersonSeen(1, np.array([0, 0, -1.0], np.float32), 0, 0, 0)]), 0)
    assert engine.rejected == 2
