"""What 40 ms of live time cost: how times of steps become times of slots, and a clip that is played at its speed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.bench.compute import PacedClip, bench_compute, slots, spread, summary
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from reactdiff_ros.simulator.rendered import demo_clip_path


def step(at_ms: float, perception: float, listener: float, *plans: float) -> Any:
    reactions = tuple(SimpleNamespace(compute_s=p / 1e3) for p in plans)
    return SimpleNamespace(
        now_ns=int(at_ms * 1e6), perception_s=perception / 1e3, listener_s=listener / 1e3, reactions=reactions
    )


def test_a_plan_is_spread_until_the_next_one() -> None:
    np.testing.assert_allclose(spread(np.array([0, 8.0, 0, 0, 0, 6, 0])), [0, 2, 2, 2, 2, 3, 3])
    np.testing.assert_allclose(spread(np.zeros(3)), 0)


def test_steps_of_one_slot_add_up() -> None:
    found = slots([step(1, 5, 0.5), step(21, 1, 0), step(41, 5, 12.5, 12.0), step(130, 5, 0.5)])
    np.testing.assert_allclose(found["perception"], [6, 5, 0, 5])
    np.testing.assert_allclose(found["encoder"], [0.5, 0.5, 0, 0.5], atol=1e-9)
    np.testing.assert_allclose(found["plans"], [0, 4, 4, 4])
    told = summary(found, skip=1)
    assert told["compute_ms"]["p50"] == pytest.approx(9.5)
    assert told["plan_ms"] == {"p50": 12.0, "p99": 12.0}
    assert (told["plans"], told["slots"], told["over_40_ms"]) == (1, 3, 0)
    assert summary(slots([step(1, 50, 0)]))["over_40_ms"] == 1
    assert summary(slots([]))["compute_ms"] is None


class Clock:
    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0.0

    def __call__(self) -> float:
        self.now += 1e-5
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def test_a_clip_is_handed_out_at_its_own_speed_and_again() -> None:
    clock = Clock()
    length = PacedClip(demo_clip_path(), 1.0, clock, clock.sleep)._clip.duration_s
    seconds = length + 1.0
    clip = PacedClip(demo_clip_path(), seconds, clock, clock.sleep)
    late = []
    for item in clip.pictures_and_sound():
        late.append(clock.now - item.offset_ns / NS)
        newest = item.offset_ns / NS
    assert min(late) > -1e-9
    assert length < newest < seconds
    assert clock.slept == pytest.approx(seconds, abs=0.2)


def test_the_figures_of_a_listener_without_networks() -> None:
    clock = Clock()
    settings, _ = settings_as_live({"policy": "rules"})
    told = bench_compute(demo_clip_path(), settings, clock, clock.sleep, seconds=1.0)
    assert told["policy"] == "rules"
    assert told["slots"] == pytest.approx(25, abs=4)
    assert told["compute_ms"]["p50"] > 0
    assert told["compute_ms"]["p99"] <= told["burst_ms"]["p99"] + 1e-9


def test_no_clip_is_a_sentence(tmp_path: Any) -> None:
    settings, _ = settings_as_live({"policy": "rules"})
    with pytest.raises(MediaError):
        bench_compute(tmp_path / "nothing.mp4", settings, Clock(), lambda s: None, seconds=1.0)
