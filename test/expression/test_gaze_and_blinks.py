from __future__ import annotations

import math

import numpy as np
import pytest
from engine_drive import MS, listening, reaction, run, stack, target

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, HEAD_YAW, INDEX
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine

SEEDS = (0, 1, 2)


def spans(active: np.ndarray) -> list[int]:
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(int), [0]])))
    return [int(b - a) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def line_of_sight(faces: np.ndarray, config: ExpressionConfig) -> tuple[np.ndarray, np.ndarray]:
    """Yaw (own left) and pitch (down) of the line of sight in the room, rad: eyes and head together."""

    def of(name: str) -> np.ndarray:
        return faces[:, INDEX[name]]

    left = of("eyeLookOutLeft") - of("eyeLookInLeft")
    right = of("eyeLookInRight") - of("eyeLookOutRight")
    yaw = (left + right) / 2 * config.eye_yaw_full_rad + faces[:, HEAD_YAW]
    down = (of("eyeLookDownLeft") - of("eyeLookUpLeft")) * config.eye_pitch_full_rad + faces[:, HEAD_PITCH]
    return yaw, down


def contact_and_rate(seed: int, *, speaks: bool) -> tuple[float, float]:
    engine = ExpressionEngine(seed=seed)
    faces = stack(run(engine, 360, before=listening(engine, speaks=speaks)))
    yaw, pitch = line_of_sight(faces, ExpressionConfig())
    away = np.hypot(yaw, pitch) > math.radians(6)
    looks = [n for n in spans(away) if n >= 10]
    return 1.0 - float(away.mean()), len(looks) / 6


def test_share_of_eye_contact_and_rate_of_looks_away_are_human() -> None:
    listens = np.array([contact_and_rate(seed, speaks=True) for seed in SEEDS])
    waits = np.array([contact_and_rate(seed, speaks=False) for seed in SEEDS])
    assert 0.82 <= listens[:, 0].mean() <= 0.95
    assert 0.70 <= waits[:, 0].mean() <= 0.85
    for rates in (listens[:, 1], waits[:, 1]):
        assert 2.0 <= rates.mean() <= 6.0


def test_blinks_are_human() -> None:
    rates, durations, closings = [], [], []
    for seed in SEEDS:
        engine = ExpressionEngine(seed=seed)
        lids = stack(run(engine, 240, before=listening(engine)))[:, BLINK[0]]
        blinks = spans(lids > 0.02)
        rates.append(len(blinks) / 4)
        durations += [(n + 1) * 20 for n in blinks]
        closings += [n * 20 for n in spans(np.diff(lids) > 0.01)]
    assert all(10 <= rate <= 33 for rate in rates), rates
    assert min(durations) >= 100
    assert max(durations) <= 400
    assert 60 <= np.median(closings) <= 120


def test_blinks_of_the_plan_count_as_blinks() -> None:
    blinking = np.zeros((16, 58), np.float32)
    blinking[5:9, BLINK] = 1.0

    def count(plan: np.ndarray | None) -> int:
        engine = ExpressionEngine(ExpressionConfig(blink_rate_per_min=20.0), seed=1)

        def push(now: int) -> None:
            if now % (640 * MS) == 0:
                engine.on_reaction(reaction(now, plan if now % (2_560 * MS) == 0 else None), now)

        return len(spans(stack(run(engine, 120, before=push))[:, BLINK[0]] > 0.5))

    assert count(blinking) <= count(None) + 31, "not the sum of both (47 more)"


@pytest.mark.parametrize(
    ("x", "y", "names"),
    [
        (0.4, 0.0, ("eyeLookOutRight", "eyeLookInLeft")),
        (-0.4, 0.0, ("eyeLookOutLeft", "eyeLookInRight")),
        (0.0, 0.3, ("eyeLookDownLeft", "eyeLookDownRight")),
        (0.0, -0.3, ("eyeLookUpLeft", "eyeLookUpRight")),
    ],
)
def test_the_eyes_turn_to_the_person(x: float, y: float, names: tuple[str, str]) -> None:
    engine = ExpressionEngine(ExpressionConfig(stillness=1.0), seed=3)

    def push(now: int) -> None:
        engine.on_gaze_target(target(now, x=x, y=y), now)

    faces = stack(run(engine, 2.0, before=push))
    yaw, pitch = line_of_sight(faces[-25:], ExpressionConfig())
    assert np.median(yaw) == pytest.approx(-math.atan2(x, 1.0), abs=math.radians(3))
    assert np.median(pitch) == pytest.approx(math.atan2(y, 1.0), abs=math.radians(3))
    for name in names:
        assert faces[-1, INDEX[name]] > 0.15
    if x:
        assert np.sign(faces[-1, HEAD_YAW]) == -np.sign(x), "the head helps"


def test_every_new_target_moves_the_eyes_at_the_next_tick() -> None:
    engine = ExpressionEngine(seed=1)
    run(engine, 2, before=listening(engine))
    other = ExpressionEngine(seed=1)
    run(other, 2, before=listening(other))
    now = 2_000 * MS
    engine.on_gaze_target(target(now - 30 * MS, x=0.05), now)
    moved, still = engine.tick(now), other.tick(now)
    assert moved.picture_stamp_ns == now - 30 * MS
    assert still.picture_stamp_ns == now - 70 * MS
    assert not np.array_equal(moved.coefficients, still.coefficients)


def test_camera_mount_is_taken_out() -> None:
    """A camera 10 cm above the eyes that looks down by 0.2 rad sees the same person elsewhere."""
    config = ExpressionConfig(camera_y_m=-0.1, camera_pitch_rad=0.2, stillness=1.0, head_share=0.0)
    eye_level = np.array([0.0, 0.1, 1.0])  # the person at eye level, from the camera's place, level axes
    turn = np.array([[1, 0, 0], [0, math.cos(0.2), -math.sin(0.2)], [0, math.sin(0.2), math.cos(0.2)]])
    seen = turn @ eye_level
    engine = ExpressionEngine(config, seed=3)
    frames = run(engine, 1.5, before=lambda now: engine.on_gaze_target(target(now, *seen), now))
    _, pitch = line_of_sight(stack(frames)[-25:], config)
    assert np.median(pitch) == pytest.approx(0.0, abs=math.radians(2))


def test_eyes_stay_on_the_person_through_a_nod() -> None:
    engine = ExpressionEngine(ExpressionConfig(stillness=1.0), seed=3)
    push = listening(engine)
    run(engine, 1.0, before=push)
    engine.on_gesture("nod", 1_000 * MS)
    faces = stack(run(engine, 1.2, start_ns=1_000 * MS, before=push))
    _, pitch = line_of_sight(faces, ExpressionConfig())
    assert np.ptp(faces[:, HEAD_PITCH]) > math.radians(4)
    assert np.ptp(pitch) < math.radians(3)
