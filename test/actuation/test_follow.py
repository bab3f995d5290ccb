"""The follower's states, tick by tick, with time as an argument."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from robot_fixtures import face, robots, small_profile
from ruckig import Ruckig

from reactdiff_ros.actuation.follow import CHANNEL_S, ArmingError, Commands, Follower
from reactdiff_ros.actuation.robot.profile import Profile, load_profile

DT = 0.02
NAN = float("nan")


OPEN = face(jawOpen=1.0, headPitch=0.3)


class Driver:
    """Ticks a follower and remembers; measured positions are the commands of the tick before (or what is set)."""

    def __init__(self, profile: Profile) -> None:
        self.profile, self.follower, self.now = profile, Follower(profile), 100.0
        self.seen: list[Commands] = []
        self.measured = [NAN if not profile.feedback(n) else j.neutral for n, j in profile.joints.items()]

    def arm(self, measured: list[float] | None = None, saved: dict[str, float] | None = None) -> None:
        self.follower.arm(self.now, measured or self.measured, saved)

    def run(self, seconds: float, frame: np.ndarray | None = OPEN, age: float = 0.005) -> Commands:
        for _ in range(round(seconds / DT)):
            self.now += DT
            self.tick(frame, age)
        return self.seen[-1]

    def tick(
        self, frame: np.ndarray | None = OPEN, age: float = 0.005, measured: list[float] | None = None
    ) -> Commands:
        commands = self.follower.tick(self.now, frame, age, measured or self.measured)
        self.seen.append(commands)
        self.measured = [
            p if self.profile.feedback(n) else NAN for n, p in zip(self.profile.joints, commands.position, strict=True)
        ]
        return commands

    def following(self) -> Driver:
        self.arm()
        self.run(3.0, face())
        assert self.follower.state == "following"
        self.seen.clear()
        return self


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(small_profile(tmp_path))


def assert_within_limits(profile: Profile, seen: list[Commands]) -> None:
    joints = list(profile.joints.values())
    lower, upper = np.array([j.limits.position for j in joints]).T
    speed = np.array([j.limits.speed for j in joints])
    acceleration = np.array([j.limits.acceleration for j in joints])
    position, torque = np.array([c.position for c in seen]), np.array([c.torque for c in seen])
    assert (position >= lower).all()
    assert (position <= upper).all()
    assert (np.abs([c.velocity for c in seen]) <= speed).all()
    assert (np.abs([c.acceleration for c in seen]) <= acceleration).all()
    assert (np.abs(np.diff(position, axis=0)) * profile.rate_hz <= speed * (1 + 1e-9)).all()
    change = np.diff(position, n=2, axis=0) * profile.rate_hz**2
    # A joint that is let go while it moves has no command to follow any more.
    assert (np.abs(change) <= acceleration * (1 + 1e-6))[torque[2:]].all()


def test_motion_starts_from_measured_positions_slowly(driver: Driver) -> None:
    driver.arm([NAN, NAN, 12.0, -20.0], {"eye": 1400.0})
    commands = driver.run(DT)
    assert commands.state == "starting"
    assert commands.position == pytest.approx([1400, 1500, 12, -20], abs=0.5)
    commands = driver.run(4.0)
    assert commands.state == "following"
    quick = np.abs([c.velocity for c in driver.seen if c.state == "starting"]).max(axis=0)
    assert (quick <= 0.25 * np.array([4000, 4000, 120, 90])).all()
    assert_within_limits(driver.profile, driver.seen)


@pytest.mark.parametrize("measured", [[NAN, NAN, NAN, 0.0], [NAN, NAN, 0.0, 40.0], None, [1.0]])
def test_arming_needs_known_positions_inside_the_limits(driver: Driver, measured: list[float] | None) -> None:
    with pytest.raises(ArmingError):
        driver.follower.arm(0.0, measured)
    assert driver.follower.state == "disarmed"


def test_it_follows_and_says_what_is_limited(driver: Driver) -> None:
    driver.following()
    commands = driver.run(0.1)
    assert commands.limited == [False, False, True, True]
    commands = driver.run(1.5)
    assert commands.position == pytest.approx([1500, 1500, 20.0, 0.3 * 57.3], abs=1e-5)
    assert not any(commands.limited)
    commands = driver.run(1.0, face(headPitch=0.6))
    assert commands.target[3] == 30.0
    assert commands.limited[3]
    assert_within_limits(driver.profile, driver.seen)


NO_FACES = [(np.zeros(57), 0.0), (np.zeros((2, 58)), 0.0), (np.float64(3.0), 0.0), (OPEN, NAN), (OPEN, -1.0)]


@pytest.mark.parametrize(("frame", "age"), [*NO_FACES, (OPEN, float("inf"))])
def test_malformed_frames_are_no_frames_and_an_age_that_makes_no_sense_is_stale(
    driver: Driver, frame: np.ndarray, age: float
) -> None:
    driver.following().run(0.5)
    assert driver.run(0.1, frame, age).state == "returning"


def test_a_stop_is_latched_whatever_comes_and_until_then_a_reset_is_refused(driver: Driver) -> None:
    driver.following().run(0.2)
    with pytest.raises(ArmingError, match="disarm"):
        driver.follower.reset()
    driver.follower.software_stop()
    commands = driver.run(1.0)
    driver.follower.joint_fault("jaw", "hot")
    driver.follower.stop_for("all is lost")
    assert driver.run(0.5).position == commands.position
    assert driver.seen[-1].state == "stopped"
    with pytest.raises(ArmingError, match="reset"):
        driver.arm()
    assert_within_limits(driver.profile, driver.seen)
    driver = Driver(driver.profile)
    driver.follower.software_stop()
    driver.follower.reset()
    assert driver.run(DT).state == "disarmed"
    driver.arm()
    assert driver.run(3.0).state == "following"


def test_an_error_of_the_motion_library_is_a_controlled_stop(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.following().run(0.1)

    class Broken:
        def update(self, *_: object) -> None:
            raise RuntimeError("no solution\nat all")

    driver.follower._motion._ruckig = Broken()  # type: ignore[assignment]
    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", lambda *_: Broken())
    commands = driver.run(1.0)
    assert commands.state == "stopped"
    assert "no solution at all" in commands.fault
    assert commands.velocity == [0, 0, 0, 0]
    assert commands.torque == [False, False, True, True]  # on_fault; the neck cannot be lowered, so it holds
    assert_within_limits(driver.profile, driver.seen)
    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", Ruckig)
    driver.follower.reset()
    driver.run(4.0)
    driver.arm()
    assert driver.run(4.0).state == "following"


@pytest.mark.parametrize("jump", [-0.5, NAN, float("inf"), -1e9])
def test_a_clock_that_makes_no_sense_disarms(driver: Driver, jump: float) -> None:
    driver.following()
    driver.now += jump
    assert driver.tick().state in ("lowering", "disarmed")


def test_a_joint_found_outside_after_a_stall_is_a_fault(driver: Driver) -> None:
    driver.following()
    driver.now += 0.5
    commands = driver.tick(measured=[NAN, NAN, 3.0, 90.0])
    assert commands.state == "stopped"
    assert "neck" in commands.fault


@pytest.mark.parametrize("robot", robots())
def test_every_robot_arms_follows_and_disarms(robot: str) -> None:
    profile = load_profile(robot)
    driver = Driver(profile)
    driver.arm()
    waiting = CHANNEL_S * sum(not profile.feedback(n) for n in profile.joints)
    assert driver.run(waiting + 2.0, face()).state == "following"
    driver.run(1.0, face(jawOpen=0.5, mouthSmileLeft=1, headPitch=0.3))
    driver.follower.disarm()
    assert driver.run(8.0).state == "disarmed"
    assert_within_limits(profile, driver.seen)


EVENTS = st.sampled_from(["arm", "disarm", "stop", "reset", "joint", "fault", "stale", "wild", "open", "neutral"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(EVENTS, st.integers(1, 40)), min_size=1, max_size=12), st.integers(0, 99))
def test_no_order_of_events_leaves_the_limits(tmp_path: Path, events: list[tuple[str, int]], seed: int) -> None:
    driver, rng = Driver(small_profile(tmp_path)), np.random.default_rng(seed)
    stretches: list[list[Commands]] = [[]]
    asked = False
    for event, ticks in events:
        age = 0.0
        follower = driver.follower
        if event == "arm" and follower.state == "disarmed":
            stretches.append([])
            driver.arm()
        elif event == "disarm":
            follower.disarm()
        elif event == "stop":
            follower.software_stop()
        elif event == "fault":
            follower.stop_for("x")
        elif event == "joint":
            follower.joint_fault("neck", "x")
        elif event == "reset" and follower.state == "stopped":
            stretches.append([])
            follower.reset()
        asked = event in ("stop", "fault") or (asked and event != "reset")
        for _ in range(ticks):
            driver.now += DT
            wild = rng.choice([0.0, 1.0, np.nan, np.inf, -1e9], size=58)
            frame = {"wild": wild, "stale": None, "neutral": face()}.get(event, OPEN)
            stretches[-1].append(driver.tick(frame, age))
            assert asked or driver.seen[-1].state != "stopped"
    for stretch in stretches:
        if len(stretch) > 2:
            assert_within_limits(driver.profile, stretch)
