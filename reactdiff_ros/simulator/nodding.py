"""Nods and the motion of the head of a simulated listener.

Shape: the first cycle is larger the more cycles follow, then the amplitude declines and the last cycle lies below the
trend (Mori, Den and Jokinen 2025). Number of peaks: 1 / 2 / 3 / 4 / 5 in 2264 annotated nods as 400 / 148 / 80 / 40 /
68 (those without a peak counted as one). Peak to peak 4.1 / 5.2 / 7.1 degrees (quartiles), 1.2 to 2.1 Hz.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.model.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

from .dynamics import STEP, Noise, Oscillators, lognormal, rate_of
from .motion import BoolArray
from .senses import Sensed
from .temperament import Temperament

_PEAKS: Final = np.cumsum(np.array([400, 148, 80, 40, 68]) / 736.0).astype(np.float32)[:, None]
_SIZE_DEG: Final = 4.8
_SIZE_SIGMA: Final = 0.35
_RATE_HZ: Final = 1.6
REST_S: Final = 1.0
"""No new nod so soon after the last one, but for a cue."""

# Heads move in shifts from one pose to the next more than they swing: with these standard deviations in degrees of
# pitch, yaw and roll, and the nods, the bands 0.2-0.5, 0.5-1, 1-2 and 2-3.5 Hz hold about what listeners show (pitch
# 1.5 / 1.3 / .9 / .6 degrees rms, yaw 1.2 / 1.0 / .6 / .4, the tracker's noise included). Noise of the same power
# without shifts would look like twenty nods a minute; people have 3 to 5.
_SHIFT_DEG: Final = np.array([3.0, 2.6, 1.9], dtype=np.float32)
_SWAY_DEG: Final = np.array([0.8, 0.7, 0.5], dtype=np.float32)
_SHIFTS: Final = np.float32(1.1 * FRAME_S)
_SHIFT_GAP_S: Final = 0.5
_SHIFT_RATE: Final = rate_of(0.11)
_POSTURE_DEG: Final = np.array([1.8, 2.6, 1.7], dtype=np.float32)
# How far the head follows the conversation (chosen; Hale et al. 2020 found that a dyad's heads go together at 0.2 to
# 1.1 Hz with a lag of 600 ms): it sinks while the other speaks, turns aside when the other looks away, and tilts with
# the other's smile. Which side is the person's own.
_HEED_DEG: Final = np.array([2.8, 4.0, 4.0], dtype=np.float32)
_HEED_RATE: Final = rate_of(0.6)
_SHIFT_M: Final = np.array([0.008, 0.005, 0.012], dtype=np.float32)


class Nodding:
    """Steps the nods of N listeners."""

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        count = len(who)
        self._noise = Noise(root, 2, count)
        nodding, responsive = who.control("nodding"), who.control("responsiveness")
        attitude = who.control("attitude")
        self._drive = np.exp(1.05 * nodding + 0.45 * who.trait("nod_rate") + 0.3 * attitude)
        self._responsive = 1 + 8 * responsive
        self._size = np.radians(_SIZE_DEG * np.exp(0.2 * who.trait("nod_size") + 0.2 * who.control("liveliness")))
        self._pace = _RATE_HZ * np.exp(0.1 * who.trait("nod_pace"))
        self._wait = np.full(count, np.inf, dtype=np.float32)
        self._rest = np.zeros(count, dtype=np.float32)
        self._phase = np.zeros(count, dtype=np.float32)
        self._cycles = np.zeros(count, dtype=np.float32)
        self._hz = np.ones(count, dtype=np.float32)
        self._top = np.zeros(count, dtype=np.float32)

    def step(self, s: Sensed) -> tuple[FloatArray, BoolArray, BoolArray]:
        """The next frame: dip of the head (N,) rad, where a nod begins, and where one goes on."""
        u, g = self._noise.uniform(7), self._noise.normal(3)
        drive = self._drive
        cue = s.onsets["cue"] & (u[0] < 1 - np.exp(-0.26 * drive * self._responsive))
        ends = s.onsets["phrase_end"] & (u[1] < 1 - np.exp(-(0.12 - 0.07 * s.held) * drive * self._responsive))
        back = s.onsets["nod"] & (u[2] < 1 - np.exp(-0.06 * drive * self._responsive))
        own = u[3] < STEP * drive * (0.7 * s.talk * s.speech + 0.2 * s.attend) / 60
        free = (self._cycles == 0) & np.isinf(self._wait)
        asked = (cue | ((ends | back | own) & (self._rest <= 0))) & free
        wait = np.clip(lognormal(g[0], 0.36, 0.35), 0.12, 0.75)
        self._wait = np.where(asked, wait, self._wait - STEP).astype(np.float32)
        begins = self._wait <= 0
        if begins.any():
            peaks = 1 + (u[4] > _PEAKS[:-1]).sum(0)
            self._cycles = np.where(begins, peaks, self._cycles).astype(np.float32)
            self._hz = np.where(begins, np.clip(lognormal(g[1], self._pace, 0.14), 1.0, 2.6), self._hz)
            size = np.clip(lognormal(g[2], self._size, _SIZE_SIGMA), np.radians(1.5), np.radians(12.0))
            self._top = np.where(begins, size * (0.94 + 0.07 * peaks), self._top).astype(np.float32)
            self._phase[begins] = 0.0
            self._wait[begins] = np.inf
        on = self._cycles > 0
        self._phase += STEP * self._hz * on
        over = on & (self._phase >= self._cycles)
        self._cycles[over] = 0.0
        self._rest = np.where(over, REST_S, self._rest - STEP).astype(np.float32)
        on = on & ~over
        return np.asarray(self._dip() * s.attend * on, dtype=np.float32), begins, on

    def _dip(self) -> FloatArray:
        cycle = np.floor(self._phase)
        last = (cycle >= self._cycles - 1) & (self._cycles > 1)
        trend = np.exp(-0.28 * cycle) * np.where(last, 0.75, 1.0)
        return np.asarray(self._top * trend * 0.5 * (1 - np.cos(2 * np.pi * self._phase)), dtype=np.float32)


class Swaying:
    """Steps the head's rotation and translation of N listeners without nods and tilts."""

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        self._noise = Noise(root, 3, len(who))
        lively = np.exp(0.6 * who.control("liveliness") + 0.18 * who.trait("sway"))
        self._sway = np.radians(_SWAY_DEG)[:, None] * lively
        self._shifts = np.radians(_SHIFT_DEG)[:, None] * lively
        self._posture = np.radians(_POSTURE_DEG)[:, None] * np.sqrt(lively)
        self._shift = _SHIFT_M[:, None] * np.sqrt(lively)
        self._lean = np.float32(0.012) * np.sqrt(lively)
        tau, smooth = np.repeat([0.4, 5.0, 2.0], 3), np.repeat([0.08, 0.6, 0.3], 3)
        self._processes = Oscillators(tau, smooth, self._noise.normal(9))
        self._aim = self._noise.normal(3)
        self._near_aim, self._pose = self._aim.copy(), self._aim.copy()
        self._still = np.zeros_like(self._aim)
        self._near = np.zeros(len(who), dtype=np.float32)
        side = np.stack([np.ones(len(who)), np.sign(who.trait("gaze_pace")), np.sign(who.trait("side"))])
        warmth = np.exp(0.3 * who.trait("warmth") + 0.4 * who.control("responsiveness"))
        self._heed = np.radians(_HEED_DEG)[:, None] * side * warmth
        self._heeded = np.zeros((3, len(who)), dtype=np.float32)
        self._down = np.zeros(len(who), dtype=np.float32)

    def step(self, s: Sensed) -> FloatArray:
        """(6, N): pitch, yaw, roll in rad, x, y, z in m, the next frame."""
        motion = self._processes.step(self._noise.normal(9))
        calm = 0.45 + 0.55 * s.attend
        rotation = calm * (self._shifts * self._shift_pose() + self._sway * motion[0:3] + self._posture * motion[3:6])
        # Listeners come a little nearer to who speaks and sink a little with who is sad.
        self._near = self._near + np.float32(0.02) * (s.talk - self._near)
        self._down = self._down + np.float32(0.02) * (s.sad * s.attend - self._down)
        follows = np.stack([s.talk * (s.speech - 0.4), s.sight * (0.5 - s.contact), s.smile - 0.15])
        self._heeded = self._heeded + _HEED_RATE * (follows * s.attend - self._heeded)
        rotation += self._heed * self._heeded
        rotation[0] += 0.06 * self._down - 0.02 * self._near
        shift = calm * self._shift * motion[6:9]
        shift[2] += self._lean * self._near
        return np.asarray(np.concatenate([rotation, shift]), dtype=np.float32)

    def _shift_pose(self) -> FloatArray:
        """Rotations (3, N) of about unit variance that go to a new pose now and then, each axis on its own."""
        u, g = self._noise.uniform(3), self._noise.normal(6)
        self._still += STEP
        goes = (u < _SHIFTS) & (self._still > _SHIFT_GAP_S)
        self._still[goes] = 0.0
        self._aim = np.where(goes, 0.3 * self._aim + 0.8 * g[:3] * np.exp(0.4 * g[3:]), self._aim)
        self._near_aim = self._near_aim + _SHIFT_RATE * (self._aim - self._near_aim)
        self._pose = self._pose + _SHIFT_RATE * (self._near_aim - self._pose)
        return self._pose
