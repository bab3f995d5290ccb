"""What the demo speaker does: a minute that can be looped, as a function of time. Deterministic.

They greet, tell a small story, laugh, become sad, look away, doubt, thank, leave the picture and come back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, bounded, sides
from tools.demo.head import EYE_PITCH_RAD, EYE_YAW_RAD
from tools.demo.voice import Samples, Sentence, brightness, loudness

SECONDS = 60.0
RATE_HZ = 25
REST_M = (0.0, -0.030, 0.56)
"""Where the eyes are while the person sits still, camera's optical frame."""
AWAY_M = 0.95
"""How far aside a person is out of the picture."""
LEAVE_S, GONE_S, RETURN_S, BACK_S = 46.6, 48.2, 51.8, 53.4

SENTENCES = (
    Sentence(2.8, 'Hello! <break time="250ms"/> It is really nice to meet you.', 66, 150),
    Sentence(7.2, "I have just been for a long walk by the river, and the light on the water was wonderful.", 62, 158),
    Sentence(15.0, "Then a little dog ran up to me, took my hat, and jumped straight into the water!", 66, 165),
    Sentence(20.6, "Ha ha ha ha! Ha ha ha!", 80, 210),
    Sentence(26.4, 'My old phone was in that hat. <break time="300ms"/> That made me rather sad.', 48, 132),
    Sentence(34.6, "Hm. Do you think that it can be dried? I am not so sure.", 56, 145),
    Sentence(42.0, "Well, thank you for listening. I will be right back.", 62, 155),
    Sentence(54.2, "Here I am again.", 64, 150),
)


@dataclass(frozen=True)
class Event:
    """Coefficients that rise at `start_s` within `rise_s`, are held, and are gone `fall_s` after `end_s`."""

    start_s: float
    end_s: float
    values: dict[str, float]
    rise_s: float = 0.35
    fall_s: float = 0.60


def _both(**values: float) -> dict[str, float]:
    """The same value for the left and the right coefficient of each name."""
    return {name + side: value for name, value in values.items() for side in ("Left", "Right")}


SMILE = _both(mouthSmile=0.60, cheekSquint=0.40, eyeSquint=0.22)
SOFT_SMILE = _both(mouthSmile=0.35, cheekSquint=0.2, eyeSquint=0.08)
LAUGH = {
    **_both(mouthSmile=0.95, cheekSquint=0.8, eyeSquint=0.55, mouthUpperUp=0.35), "jawOpen": 0.22, "headPitch": -0.12,
}  # fmt: skip
SAD = {"browInnerUp": 0.75, **_both(mouthFrown=0.60, eyeLookDown=0.18), "headPitch": 0.12, "headRoll": 0.05}
DOUBT = {"browOuterUpLeft": 0.8, "browDownRight": 0.7, **_both(mouthPress=0.45, mouthFrown=0.35, eyeSquint=0.30)}
QUESTION = {"browInnerUp": 0.6, **_both(browOuterUp=0.6, eyeWide=0.3)}

EVENTS = (
    Event(2.6, 6.4, SMILE),
    Event(2.7, 3.6, {"browInnerUp": 0.4, **_both(browOuterUp=0.5)}, 0.2, 0.4),
    Event(9.6, 10.6, {**_both(browOuterUp=0.4), "browInnerUp": 0.3}),
    Event(11.2, 14.2, SOFT_SMILE),
    Event(15.2, 18.4, SOFT_SMILE),
    Event(17.2, 18.6, {"browInnerUp": 0.7, **_both(browOuterUp=0.7, eyeWide=0.6)}, 0.2, 0.4),
    Event(18.8, 24.0, SMILE),
    Event(20.4, 22.8, LAUGH, 0.3, 0.9),
    Event(26.2, 31.4, SAD, 0.6, 0.9),
    Event(28.0, 29.0, _both(browDown=0.2)),
    Event(34.4, 39.2, DOUBT),
    Event(35.0, 38.8, {"headRoll": -0.14, "headYaw": 0.05}, 0.5, 0.7),
    Event(39.7, 41.6, QUESTION),
    Event(39.4, 41.4, {"headPitch": -0.05, "headRoll": 0.06}),
    Event(42.2, 46.4, SMILE),
    Event(53.2, 57.2, SMILE),
    Event(31.6, 34.0, {"headYaw": -0.34, "headPitch": 0.05}, 0.45, 0.5),
    Event(46.3, 48.4, {"headYaw": 0.55}, 0.5, 1.0),
    Event(50.6, 52.4, {"headYaw": -0.45}, 0.8, 0.8),
)
NODS_S = ((5.6, 0.10, 2), (13.4, 0.09, 2), (24.6, 0.11, 3), (44.0, 0.10, 2), (56.2, 0.08, 1))
"""Start, depth in rad, number of dips."""
NOD_HZ = 1.7
AVERTED = (
    (9.0, 9.9, 0.22, -0.10),
    (16.4, 17.0, -0.20, 0.05),
    (29.4, 30.6, 0.10, 0.35),
    (31.5, 34.2, -0.62, 0.10),
    (46.2, 49.0, 0.6, 0.0),
    (49.2, 52.4, -0.45, 0.0),
)
"""Looks elsewhere: from, to, yaw and pitch of the line of sight in rad (own left, down)."""
BLINK_S = 0.26


def _envelope(t: NDArray[np.float64], start: float, end: float, rise: float, fall: float) -> NDArray[np.float64]:
    """0..1 with smooth (minimum-jerk) flanks."""

    def flank(x: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.clip(x, 0, 1)
        return np.asarray(x**3 * (10 - 15 * x + 6 * x**2))

    return flank((t - start) / rise) * (1 - flank((t - end) / fall))


def _drift(t: NDArray[np.float64], seed: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Smooth unit-variance motion that repeats after SECONDS, so that the loop has no seam."""
    rng = np.random.default_rng(seed)
    cycles = np.arange(max(1, round(low_hz * SECONDS)), round(high_hz * SECONDS) + 1)
    amplitude = rng.standard_normal((2, len(cycles))) / np.sqrt(cycles)
    amplitude /= np.sqrt((amplitude**2).sum() / 2)
    phase = 2 * np.pi * t[:, None] * cycles / SECONDS
    return np.asarray(np.cos(phase) @ amplitude[0] + np.sin(phase) @ amplitude[1])


def _blink_times() -> NDArray[np.float64]:
    """About 17 a minute, none just at the loop's seam."""
    gaps = np.random.default_rng(21).uniform(2.2, 4.8, 40)
    times = 1.3 + np.cumsum(gaps) - gaps[0]
    return np.asarray(times[times < SECONDS - 1.0])


def perform(track: Samples, sound_rate_hz: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The whole performance at RATE_HZ.

    Args:
        track: the voice, (samples,), as `voice.sound_track` makes it from SENTENCES; moves the mouth.
        sound_rate_hz: its rate.

    Returns:
        coefficients (frames, 58) and places of the eyes at rest (frames, 3), metres in the camera's optical frame.
    """
    t = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    c = np.zeros((len(t), COEFFICIENT_COUNT))
    for event in EVENTS:
        shape = _envelope(t, event.start_s, event.end_s, event.rise_s, event.fall_s)
        for name, value in event.values.items():
            column = c[:, INDEX[name]]
            c[:, INDEX[name]] = column + value * shape if name.startswith("head") else np.maximum(column, value * shape)
    talking = _talk(c, t, track, sound_rate_hz)
    _move_head(c, t, talking)
    places = _places(t)
    _look(c, t, places)
    for start in _blink_times():
        x = (t - start) / BLINK_S
        lid = np.where((x > 0) & (x < 1), np.sin(np.pi * np.clip(x, 0, 1) ** 0.7) ** 1.2, 0.0)
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            c[:, INDEX[name]] = np.maximum(c[:, INDEX[name]], lid)
    return bounded(c), places


def _talk(c: NDArray[np.float64], t: NDArray[np.float64], track: Samples, rate_hz: int) -> NDArray[np.float64]:
    """Moves jaw and lips with the voice; returns how much they talk, 0..1, smoothed over a second."""
    loud, bright = loudness(track, rate_hz, t), brightness(track, rate_hz, t)
    loud = np.convolve(loud, [0.2, 0.6, 0.2], mode="same")
    bright = np.convolve(bright, [0.25, 0.5, 0.25], mode="same")
    spread = np.clip((bright - 0.40) / 0.25, 0, 1)
    moved = {
        "jawOpen": loud * (0.50 - 0.24 * spread), "mouthFunnel": 0.45 * loud * (1 - spread),
        "mouthPucker": 0.30 * loud * (1 - spread), "mouthStretch": 0.30 * loud * spread,
        "mouthLowerDown": 0.35 * loud * spread, "mouthUpperUp": 0.20 * loud,
    }  # fmt: skip
    for name, value in moved.items():
        for column in sides(name):
            c[:, column] = np.clip(c[:, column] + value, 0, 1)
    second = np.hanning(RATE_HZ)
    return np.asarray(np.clip(np.convolve(loud, second / second.sum(), mode="same") * 2.0, 0, 1))


def _move_head(c: NDArray[np.float64], t: NDArray[np.float64], talking: NDArray[np.float64]) -> None:
    """Sway, livelier while they talk; a beat of the head with the voice; nods."""
    lively = 0.35 + 0.65 * talking
    for name, seed, size in (("headPitch", 1, 0.030), ("headYaw", 2, 0.040), ("headRoll", 3, 0.028)):
        c[:, INDEX[name]] += size * lively * _drift(t, seed, 0.1, 0.7)
    for name, seed, size in (("headX", 4, 0.006), ("headY", 5, 0.003), ("headZ", 6, 0.006)):
        c[:, INDEX[name]] += size * _drift(t, seed, 0.05, 0.35)
    c[:, INDEX["headPitch"]] += 0.025 * talking * _drift(t, 8, 0.8, 2.0)
    for start, depth, dips in NODS_S:
        x = (t - start) * NOD_HZ
        c[:, INDEX["headPitch"]] += np.where((x > 0) & (x < dips), depth * np.sin(np.pi * x) ** 2, 0.0)
    shaking = _envelope(t, 20.6, 22.6, 0.3, 0.6)
    c[:, INDEX["headPitch"]] += 0.03 * shaking * np.sin(2 * np.pi * 4.2 * t)
    c[:, INDEX["headY"]] += 0.003 * shaking * np.sin(2 * np.pi * 4.2 * t)


def _places(t: NDArray[np.float64]) -> NDArray[np.float64]:
    aside = _envelope(t, LEAVE_S, RETURN_S, GONE_S - LEAVE_S, BACK_S - RETURN_S) * AWAY_M
    return np.stack([REST_M[0] + aside, np.full_like(t, REST_M[1]), np.full_like(t, REST_M[2])], axis=1)


def _look(c: NDArray[np.float64], t: NDArray[np.float64], places: NDArray[np.float64]) -> None:
    """Eyes: on the camera whatever the head does, or where the script sends them, with small saccades."""
    x, y, z = (places[:, i] for i in range(3))
    yaw, pitch = np.arctan2(-x, z), np.arctan2(-y, z)
    away = np.zeros_like(t)
    for start, end, to_yaw, to_pitch in AVERTED:
        part = _envelope(t, start, end, 0.10, 0.10)
        yaw, pitch = yaw * (1 - part) + to_yaw * part, pitch * (1 - part) + to_pitch * part
        away = np.maximum(away, part)
    steps = np.random.default_rng(31).normal(0, 0.018, (2, round(SECONDS * 2)))
    index = np.minimum((t * 2).astype(int), steps.shape[1] - 1)
    eye_yaw = (yaw - c[:, INDEX["headYaw"]] + steps[0, index]) / EYE_YAW_RAD
    eye_pitch = (pitch - c[:, INDEX["headPitch"]] + steps[1, index]) / EYE_PITCH_RAD
    looks = {
        "OutLeft": eye_yaw, "InRight": eye_yaw, "InLeft": -eye_yaw, "OutRight": -eye_yaw, "DownLeft": eye_pitch,
        "DownRight": eye_pitch, "UpLeft": -eye_pitch, "UpRight": -eye_pitch,
    }  # fmt: skip
    for name, value in looks.items():
        column = INDEX[f"eyeLook{name}"]
        c[:, column] = np.clip(c[:, column] * away + value, 0, 0.95)
