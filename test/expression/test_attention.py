"""At whom the face looks among several people."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from engine_drive import MS, TICK, every, line_of_sight, listening, run, stack, target
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.expression.attention import NEWCOMER_S, SHORTEST_S, Attention
from reactdiff_ros.types import People, PersonSeen

S = 1000 * MS
PLACES = {1: -0.5, 2: 0.0, 3: 0.5, 4: 0.8, 5: 1.0}


def person(number: int, **beliefs: float) -> PersonSeen:
    values = {"speaking": 0.0, "attention": 0.8, "addressed": 0.0, **beliefs}
    return PersonSeen(number, np.array([PLACES[number], 0.0, 1.0], np.float32), **values)


def people(now: int, *persons: PersonSeen, target: int = 1, robot_addressed: float = 0.0) -> People:
    return People(now - 30 * MS, persons, target, robot_addressed)


def looks(seen: Callable[[int], People], *, seconds: float = 400.0, speaks: bool = False) -> np.ndarray:
    """Whose place was looked at, per tick; a picture every 40 ms."""
    attention, who = Attention(np.random.default_rng(0)), {np.float32(x): n for n, x in PLACES.items()}
    focus, result = 0, []
    for i in range(round(seconds * 50)):
        now = i * TICK
        if i % 2 == 0:
            attention.push(seen(now), now)
        where = attention.advance(now, speaks=speaks)
        focus = focus if where is None else who[where.position_m[0]]
        result.append(focus)
    return np.array(result)


@pytest.mark.parametrize(
    ("persons", "robot_addressed", "speaks", "shares"),
    [
        ([person(1, speaking=0.9), person(2, addressed=0.9), person(3)], 0.0, False,
         {1: (0.6, 0.8), 2: (0.12, 0.32), 3: (0.03, 0.18)}),
        ([person(1, speaking=0.9), person(2, addressed=0.2)], 0.9, False, {1: (0.8, 1.0)}),
        ([person(1), person(2), person(3)], 0.0, True, {1: (0.34, 0.6), 2: (0.18, 0.4), 3: (0.18, 0.4)}),
    ],
    ids=["most at who speaks, now and then at who is spoken to", "nearly all at who speaks to the robot",
         "a robot that speaks: shared, most at the one whom it listened to"],
)  # fmt: skip
def test_shares_of_looks(persons, robot_addressed, speaks, shares) -> None:
    looked = looks(lambda now: people(now, *persons, robot_addressed=robot_addressed), speaks=speaks)
    for number, (least, most) in shares.items():
        assert least < (looked == number).mean() < most, number
    assert (np.diff(np.flatnonzero(np.diff(looked))) * 0.02).min() >= SHORTEST_S - 0.001


def test_a_change_of_speaker_is_followed_within_a_second() -> None:
    def seen(now: int) -> People:
        first = now // (5 * S) % 2 == 0
        persons = person(1, speaking=0.9 * first), person(2, speaking=0.9 * (not first))
        return people(now, *persons, robot_addressed=1.0)

    turns = looks(seen, seconds=300).reshape(-1, 250)[1:]  # of 5 s each
    speakers = np.arange(1, 1 + len(turns)) % 2 + 1
    late_s = (turns == speakers[:, None]).argmax(1) * 0.02
    assert (turns == speakers[:, None]).any(1).all()
    assert late_s.max() <= SHORTEST_S + 0.2
    assert np.median(late_s) <= 0.25


def test_a_newcomer_gets_a_look_of_about_a_second() -> None:
    persons = person(1, speaking=0.9), person(2), person(3)
    at_newcomer = looks(lambda now: people(now, *persons[: 3 if now >= 20 * S else 2]), seconds=22) == 3
    begin = int(at_newcomer.argmax())
    assert 20 <= begin * 0.02 <= 20 + SHORTEST_S + 0.05
    assert np.append(at_newcomer, False)[begin:].argmin() * 0.02 >= NEWCOMER_S - 0.021


@given(seed=st.integers(0, 2**32 - 1))
def test_never_flips_faster_than_0_6_s_whatever_comes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crowd = {"now": people(0, person(1), person(2))}

    def seen(now: int) -> People:
        if rng.random() < 0.1 and now % (40 * MS) == 0:
            who = [person(n, speaking=rng.random(), attention=rng.random(), addressed=rng.random())
                   for n in PLACES if rng.random() < 0.6]  # fmt: skip
            crowd["now"] = people(now, *who, target=int(rng.integers(-1, 6)))
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


def test_with_one_person_the_gaze_is_that_without_any_bit_for_bit() -> None:
    def faces(*crowd: PersonSeen) -> np.ndarray:
        engine = ExpressionEngine(seed=6)
        more = every(40, lambda now: crowd and engine.on_people(people(now, *crowd), now))
        return stack(run(engine, 8.0, listening(engine), more))

    plain = faces()
    assert np.array_equal(plain, faces(person(1, speaking=1.0)))
    assert np.array_equal(plain, faces(person(1), PersonSeen(2, None, 0.9, 1.0, 1.0)))


def test_the_eyes_go_to_who_speaks_and_back_to_one_who_is_left() -> None:
    engine = ExpressionEngine(seed=1)

    def push(now: int) -> None:
        engine.on_gaze_target(target(now - 30 * MS, x=-0.5), now)
        engine.on_people(people(now, *(person(1), person(3, speaking=0.9))[: 2 if now < 4 * S else 1]), now)
        engine.on_speaking(True, now)

    yaw = np.degrees(line_of_sight(stack(run(engine, 8.0, every(40, push))))[0])
    assert np.median(yaw[50:200]) == pytest.approx(-27, abs=6), "person 3 is 27 degrees to the robot's right"
    assert np.median(yaw[250:]) == pytest.approx(27, abs=6)
