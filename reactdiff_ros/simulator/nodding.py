"""Nods and the motion of the head of a simulated listener.

Shape: the first cycle is larger the more cycles follow, then the amplitude declines and the last cycle lies below the
trend (Mori, Den and Jokinen 2025). Number of peaks: 1 / 2 / 3 / 4 / 5 in 2264 annotated nods as 400 / 148 / 80 / 40 /
68 (those without a peak counted as one). Peak to peak 4.1 / 5.2 / 7.1 degrees (quartiles), 1.2 to 2.1 Hz.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.types import FloatArray

from .dynamics import STEP, Noise, Oscillators, lognormal, rate_of
from .motion import BoolArray
from .senses import Sensed
from .temperament import Temperament

_PEAKS: Final = np.cumsum(np.array([400, 148, 80, 40, 68]) / 736.0).astype(np.float32)[:, None]
_SIZE_DEG: Final = 5.2
_SIZE_SIGMA: Final = 0.35
_RATE_HZ: Final = 1.6
REST_S: Final = 1.0
"""No new nod so soon after the last one, but for a cue."""

# Standard deviations in degrees of pitch, yaw and roll, of processes that come in bouts: with them and the nods the
# bands 0.2-0.5, 0.5-1, 1-2 and 2-3.5 Hz hold about what listeners show (pitch 1.5 / 1.3 / .9 / .6 degrees rms, yaw
# 1.2 / 1.0 / .6 / .4). Motion of the same power without bouts would look like twenty nods a minute; people have 3 to 5.
_SWAY_DEG: Final = np.array([2.6, 2.1, 1.6], dtype=np.float32)
_POSTURE_DEG: Final = np.array([1.8, 2.6, 1.7], dtype=np.float32)
# How far the head follows the conversation (chosen; Hale et al. 2020 found that a dyad's heads go together at 0.2 to
# 1.1 Hz with a lag of 600 ms): it sinks while the other speaks, turns aside when the other looks away, and tilts with
# the other's smile. Which side is the person's own.
_HEED_DEG: Final = np.array([2.8, 4.0, 4.0], dtype=np.float32)
_HEED_RATE: Final = rate_of(0.6)
_BOUT: Final = np.float32(0.75)
"""Standard deviation of the logarithm of the sway's size over time."""
_SHIFT_M: Final = np.array([0.008, 0.005, 0.012], dtype=np.float32)


class Nodding:
    """Steps the nods of N listeners."""

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        count = len(who)
        self._noise = Noise(root, 2, count)
        nodding, responsive = who.control("nodding"), who.control("responsiveness")
        attitude = who.control("attitude")
        self._drive = np.exp(0.95 * nodding + 0.35 * who.trait("nod_rate") + 0.35 * np.minimum(attitude, 0.5))
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
        ends = s.onsets["phrase_end"] & (u[1] < 1 - np.exp(-(0.085 - 0.05 * s.held) * drive * self._responsive))
        back = s.onsets["nod"] & (u[2] < 1 - np.exp(-0.06 * drive * self._responsive))
        own = u[3] < STEP * drive * (0.4 * s.talk * s.speech + 0.2 * s.attend) / 60
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
        self._posture = np.radians(_POSTURE_DEG)[:, None] * np.sqrt(lively)
        self._shift = _SHIFT_M[:, None] * np.sqrt(lively)
        self._lean = np.float32(0.012) * np.sqrt(lively)
        tau, smooth = np.array([0.5, 5.0, 2.0, 2.5]), np.array([0.10, 0.6, 0.3, 0.4])
        each = [3, 3, 3, 1]
        self._processes = Oscillators(np.repeat(tau, each), np.repeat(smooth, each), self._noise.normal(10))
        self._near = np.zeros(len(who), dtype=np.float32)
        side = np.stack([np.ones(len(who)), np.sign(who.trait("gaze_pace")), np.sign(who.trait("side"))])
        warmth = np.exp(0.3 * who.trait("warmth") + 0.4 * who.control("responsiveness"))
        self._heed = np.radians(_HEED_DEG)[:, None] * side * warmth
        self._heeded = np.zeros((3, len(who)), dtype=np.float32)
        self._down = np.zeros(len(who), dtype=np.float32)

    def step(self, s: Sensed) -> FloatArray:
        """(6, N): pitch, yaw, roll in rad, x, y, z in m, the next frame."""
        motion = self._processes.step(self._noise.normal(10))
        calm = 0.45 + 0.55 * s.attend
        # Listeners come a little nearer to who speaks and sink a little with who is sad.
        self._near = self._near + np.float32(0.02) * (s.talk - self._near)
        self._down = self._down + np.float32(0.02) * (s.sad * s.attend - self._down)
        bout = np.exp(_BOUT * motion[9] - _BOUT**2)  # of mean square 1
        rotation = calm * (self._sway * bout * motion[0:3] + self._posture * motion[3:6])
        follows = np.stack([s.talk * (s.speech - 0.4), s.sight * (0.5 - s.contact), s.smile - 0.15])
        self._heeded = self._heeded + _HEED_RATE * (follows * s.attend - self._heeded)
        rotation += self._heed * self._heeded
        rotation[0] += 0.06 * self._down - 0.02 * self._near
        shift = calm * self._shift * motion[6:9]
        shift[2] += self._lean * self._near
        return np.asarray(np.concatenate([rotation, shift]), dtype=np.float32)
