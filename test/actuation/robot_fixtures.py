"""What several tests of robots need: a small profile as text, odd ones, wild and calm input, and a check of limits."""

from pathlib import Path

import numpy as np
from profile_parts import JAW, head_of

from reactdiff_ros.actuation.robot.profile import Profile, load_profile, shipped_profiles
from reactdiff_ros.actuation.simulate import Block
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX

SMALL = (
    head_of("small")
    + """\
drivers:
  servos: {type: pca9685}
  bus: {type: feetech}
signals:
  gaze: {sum: {eyeLookUpLeft: 1, eyeLookDownLeft: -1}}
joints:
  eye: {unit: us, group: eyes, neutral: 1500,
    limits: {position: [1300, 1700], speed: 4000, acceleration: 80000, jerk: 4000000}, map: {sum: {gaze: 300}},
    on_fault: release, output: {driver: servos, id: 0}}
  lid: {unit: us, group: lids, neutral: 1500,
    limits: {position: [1200, 1600], speed: 4000, acceleration: 80000, jerk: 4000000},
    map: {sum: {eyeBlinkLeft: 1}, curve: [[0, 0], [0.5, -100], [1, -300]], follow: {eye: 0.5}}, on_fault: release,
    output: {driver: servos, id: 1}}
"""
    + JAW
    + """\
  neck:
    unit: deg
    group: neck
    neutral: 0
    limits: {position: [-30, 30], speed: 90, acceleration: 400, jerk: 6000, load: 0.6, temperature_c: 65}
    map: {sum: {headPitch: 57.3}}
    on_fault: lower_then_release
    lowered: 25
    output: {driver: bus, id: 2}
rules:
  - {joint: jaw, beyond: 0.6, towards: upper, longest_s: 2.0, rest_s: 1.0}
"""
)


def small_profile(folder: Path, old: str = "", new: str = "") -> Profile:
    """The small profile, with one piece of its text replaced."""
    assert old in SMALL
    path = folder / "small.yaml"
    path.write_text(SMALL.replace(old, new, 1) if old else SMALL)
    return load_profile(path)


def face(**coefficients: float) -> np.ndarray:
    """A face, (58,), in which only these coefficients are not 0."""
    frame = np.zeros(COEFFICIENT_COUNT)
    frame[[INDEX[name] for name in coefficients]] = list(coefficients.values())
    return frame


def robots() -> list[str]:
    return sorted(shipped_profiles())


WILD = (np.nan, np.inf, -np.inf, 1e9, -1e9, np.finfo(np.float64).max, -1e300, 5e-324, -0.0)


def wild_frames(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (count, 58) and times (count,) as nobody should send them.

    Steps, noise, ends that change at every frame, stretches of rest, frames of nothing but NaN, 1e9, the largest and
    smallest numbers, NaN and infinities; times that stand still, come in bursts, go back by a little or by much, jump
    ahead, leave frames out, are NaN or infinite.
    """
    held = rng.integers(1, 60, size=count)
    starts = np.cumsum(held)
    levels = rng.uniform(-1.5, 1.5, size=(count, 58)) * rng.choice([0.1, 1.0, 1.0, 1e9], size=(count, 1))
    step = np.searchsorted(starts, np.arange(count), side="right").clip(max=count - 1)
    frames = levels[step]
    noisy = rng.random(count) < 0.3
    frames[noisy] += rng.normal(0.0, 0.5, size=(int(noisy.sum()), 58))
    # From one end to the other and back, at every frame or every few.
    shaken = (rng.random(count) < 0.1)[step]
    period = rng.integers(1, 12, size=count)[step]
    frames[shaken] = np.where(np.arange(count) // period % 2 == 0, 2.0, -2.0)[shaken, None]
    frames[rng.random(count) < 0.01] = np.nan
    for value in WILD:
        frames[rng.random(frames.shape) < 0.002] = value
    steps = np.full(count, 0.02)
    steps[(rng.random(count) < 0.05)[step]] = 0.003
    steps[rng.random(count) < 0.005] = -0.5
    steps[rng.random(count) < 2e-5] = -15.0
    steps[rng.random(count) < 0.02] = 0.4
    steps[rng.random(count) < 3e-4] = 3.0
    steps[rng.random(count) < 0.05] = 0.0
    times = 12.5 + np.cumsum(steps)
    times[rng.random(count) < 0.01] = np.nan
    times[rng.random(count) < 0.001] = np.inf
    times[rng.random(count) < 0.001] = -np.inf
    calm = (rng.random(count) < 0.1)[step]
    frames[calm] = (np.clip(levels[step], 0.0, 1.0) + tremble(rng, count, 10 ** rng.uniform(-8, -4)))[calm]
    return frames, times


def tremble(rng: np.random.Generator, count: int, noise: float) -> np.ndarray:
    """What rounding and smoothing leave of a steady face: (count, 58)."""
    return rng.normal(0.0, noise, (count, 58))


def calm_frames(rng: np.random.Generator, count: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Poses that are held for 0.3 to 3 s, with `noise` on them, as float32 at 50 Hz: a calm listener."""
    poses = rng.uniform(-0.3, 1.0, (count // 15 + 1, 58))
    frames = np.repeat(poses, rng.integers(15, 151, len(poses)), axis=0)[:count]
    return (frames + tremble(rng, count, noise)).astype(np.float32), np.arange(count) / 50


def odd_profile(folder: Path, seed: int, *, plausible: bool = False) -> Profile:
    """Six joints with limits of any size and ratio, half of them round numbers; the check refuses one in ten.

    `plausible`: with speeds, accelerations and jerks as servos and faces on screens have them; it refuses none.
    """
    rng = np.random.default_rng(seed)
    exponents = ((-0.5, 1.5), (0.7, 2.0), (1.0, 2.2)) if plausible else ((-1.5, 2), (-1, 3.5), (-1, 4))
    text = head_of("odd").replace("rate_hz: 50", f"rate_hz: {rng.choice([50, 60, 73.3, 100])}")
    text += "drivers:\n  controller: {type: joint_trajectory}\njoints:\n"
    for i in range(6):
        span = 10 ** rng.uniform(-3, 4)
        lower = rng.choice([0.0, -span / 2, 10 * span * rng.normal()])
        upper = lower + span
        neutral = rng.choice([lower, upper, (lower + upper) / 2])
        limits = span * np.cumprod([10 ** rng.uniform(*e) for e in exponents])
        limits = [float(f"{x:.1g}") if rng.random() < 0.5 else float(x) for x in limits]
        limits = [f"{name}: {x!r}" for name, x in zip(("speed", "acceleration", "jerk"), limits, strict=True)]
        text += f"""\
  j{i}: {{unit: rad, group: any, neutral: {float(neutral)!r}, on_fault: hold, output: {{driver: controller, id: j{i}}},
    limits: {{position: [{float(lower)!r}, {float(upper)!r}], {", ".join(limits)}}},
    map: {{sum: {{jawOpen: {float(rng.choice([-2, 0.5, 1, 3]) * span)!r}, headYaw: {float(rng.normal() * span)!r}}}}}}}
"""
    path = folder / f"odd{seed}.yaml"
    path.write_text(text)
    return load_profile(path)


TOLERANCE = 1e-6
"""Of second and third differences, which rounding of positions makes less exact; positions and speeds have none."""


class LimitCheck:
    """Watches blocks of ticks: every command inside its limits, also between the ticks by differences."""

    def __init__(self, profile: Profile) -> None:
        joints = list(profile.joints.values())
        self.rate = profile.rate_hz
        self.lower, self.upper = np.array([j.limits.position for j in joints]).T
        self.speed = np.array([j.limits.speed for j in joints])
        self.acceleration = np.array([j.limits.acceleration for j in joints])
        self.jerk = np.array([j.limits.jerk for j in joints])
        self.before: Block | None = None
        self.ticks = 0
        self.used = np.zeros(3)
        """Largest shares of speed, acceleration and jerk that were seen: a check that never comes near says nothing."""

    def see(self, block: Block) -> None:
        assert block.fault == ""  # nobody asked for a stop
        for positions in (block.target, block.command):
            assert np.isfinite(positions).all()
            assert ((positions >= self.lower) & (positions <= self.upper)).all()
        assert (np.abs(block.velocity) <= self.speed).all()
        assert (np.abs(block.acceleration) <= self.acceleration).all()
        command, velocity, acceleration = block.command, block.velocity, block.acceleration
        if self.before is not None:
            command = np.vstack([self.before.command[-2:], command])
            velocity = np.vstack([self.before.velocity[-1:], velocity])
            acceleration = np.vstack([self.before.acceleration[-1:], acceleration])
        speed, bend, jerk = (
            (np.abs(np.diff(values, n=order, axis=0)) * self.rate**order / limit).max(initial=0.0)
            for values, order, limit in (
                (command, 1, self.speed), (command, 2, self.acceleration), (acceleration, 1, self.jerk)
            )
        )  # fmt: skip
        assert speed <= 1.0
        assert max(bend, jerk) <= 1.0 + TOLERANCE
        assert (np.abs(np.diff(velocity, axis=0)) * self.rate <= self.acceleration * (1 + TOLERANCE)).all()
        self.used = np.maximum(self.used, (speed, bend, jerk))
        self.before = block
        self.ticks += len(block.time)


def longest_run(beyond: np.ndarray) -> int:
    best = now = 0
    for b in beyond:
        now = now + 1 if b else 0
        best = max(best, now)
    return best
