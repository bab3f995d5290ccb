"""Any sound to 16 kHz mono (downmix and a causal windowed-sinc resampler), and the features of its 40 ms windows.

A streaming FFT resampler (soxr) hands out its samples in blocks, 20 to 115 ms late; this filter is 1.5 to 3 ms late,
always by the same time, and gives the same samples however the sound is cut into chunks.
"""

from __future__ import annotations

import math
from typing import Any, Final

import kaldi_native_fbank
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.types import MFCC_COUNT, FloatArray

RATE_HZ: Final = 16000
_ZERO_CROSSINGS: Final = 24
_KAISER_BETA: Final = 7.0
_ROLL_OFF: Final = 0.92
_MAX_PHASES: Final = 1024
_BLOCK: Final = 320
"""Outputs that are made at once: bounds the memory that a long chunk takes."""
_FULL_SCALE: Final = np.float32(1.0 / 32768.0)


class Resampler:
    """A stream of mono float32 samples of one rate in, 16 kHz out.

    Output sample k is the input at k / 16000 s, filtered with a Kaiser-windowed sinc (stop band about 70 dB); it can
    be made once the input reaches `delay_ns` further.

    Args:
        rate_hz: input rate, 8000..192000.
    """

    def __init__(self, rate_hz: int) -> None:
        divisor = math.gcd(rate_hz, RATE_HZ)
        self._up, self._down = RATE_HZ // divisor, rate_hz // divisor
        self._direct = rate_hz == RATE_HZ
        self._half = 0 if self._direct else math.ceil(_ZERO_CROSSINGS * rate_hz / min(rate_hz, RATE_HZ))
        self.delay_ns = self._half * NS // rate_hz
        self._phases = min(self._up, _MAX_PHASES)
        self._taps = np.zeros((0, 0), np.float32) if self._direct else _taps(rate_hz, self._half, self._phases)
        # Filters recur after `up` outputs: where that is soon they stand in the order of the outputs, block by block.
        self._ordered = self._filters(0, self._up + _BLOCK) if not self._direct and self._up <= _MAX_PHASES else None
        self._buffer = np.zeros(self._half, np.float32)
        self._first = -self._half
        """Input index of the buffer's first sample; what lies before the stream is silence."""
        self._given = 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Append input samples (n,)."""
        self._buffer = np.concatenate([self._buffer, samples])

    def reach(self) -> int:
        """How many output samples, since the start, the input so far allows."""
        known = self._first + len(self._buffer)
        if self._direct:
            return known
        last = known - self._half - 1  # the newest input index that may be an output's base
        return 0 if last < 0 else ((last + 1) * self._up - 1) // self._down + 1

    def take(self, count: int) -> NDArray[np.float32]:
        """The next `count` output samples; the caller has asked `reach`."""
        if self._direct:
            direct = self._buffer[:count]
            self._buffer, self._first = self._buffer[count:], self._first + count
            return direct
        if count <= _BLOCK:
            return self._filtered(count)
        return np.concatenate([self._filtered(min(_BLOCK, count - done)) for done in range(0, count, _BLOCK)])

    def _filtered(self, count: int) -> NDArray[np.float32]:
        whole, start = divmod(self._given, self._up)
        if self._ordered is None:
            bases, weights = self._filters(start, count)
        else:
            bases, weights = self._ordered[0][start : start + count], self._ordered[1][start : start + count]
        step = self._buffer.strides[0]
        windows: NDArray[np.float32] = np.ndarray(
            (len(self._buffer) - 2 * self._half + 1, 2 * self._half), np.float32, self._buffer, 0, (step, step)
        )
        first = whole * self._down - self._half + 1 - self._first
        taken: NDArray[np.float32] = np.einsum("ij,ij->i", windows[bases + first], weights)
        self._given += count
        done = max(0, self._given * self._down // self._up - self._half + 1 - self._first)
        self._buffer, self._first = self._buffer[done:], self._first + done
        return taken

    def _filters(self, start: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Input indices (count,) and filters (count, 2 * half) of outputs from `start` on."""
        bases, phases = np.divmod(np.arange(start, start + count, dtype=np.int64) * self._down, self._up)
        return bases, self._taps[phases * self._phases // self._up]


def _taps(rate_hz: int, half: int, phases: int) -> NDArray[np.float32]:
    """(phases, 2 * half): weights of inputs base - half + 1 .. base + half for the output at base + phase / phases."""
    offsets = np.arange(-half + 1, half + 1)[None, :] - np.arange(phases)[:, None] / phases
    cutoff = _ROLL_OFF * min(1.0, RATE_HZ / rate_hz)
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1.0 - (offsets / half) ** 2, 0.0, None))) / np.i0(_KAISER_BETA)
    taps = np.sinc(cutoff * offsets) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), np.float32)


def mono(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """int16 (n, channels) to the mean of all channels, float32 in -1..1."""
    # The sum of integers is exact, so the result does not depend on how the sound was cut.
    total = samples[:, 0].astype(np.int32)
    for channel in range(1, samples.shape[1]):  # several times faster than to sum over a short last axis
        total += samples[:, channel]
    return np.asarray(total.astype(np.float32) * (_FULL_SCALE / np.float32(samples.shape[1])), np.float32)


# ---- Features: MFCC as Kaldi computes them, pitch, loudness

WINDOW: Final = 640
"""40 ms."""
HOP: Final = 320
"""20 ms: the newest features are never older than that."""
SILENCE_DBFS: Final = -100.0
PITCH_LOW_HZ: Final = 60.0
PITCH_HIGH_HZ: Final = 400.0
_VOICED: Final = 0.55
_VOICED_DBFS: Final = -60.0
_FIRST_PEAK: Final = 0.87
_FFT: Final = 1024


def mfcc_options() -> Any:
    """26 coefficients of 26 mel bands over 40 ms, as the reference has them; no dither, so it is deterministic."""
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.samp_freq = 16000
    options.frame_opts.frame_length_ms = 40.0
    options.frame_opts.frame_shift_ms = 20.0
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = MFCC_COUNT
    options.num_ceps = MFCC_COUNT
    options.use_energy = False
    return options


class MfccStream:
    """MFCC of consecutive 40 ms windows, one every 20 ms, of float32 sound in -1..1; bounded memory."""

    def __init__(self) -> None:
        self._mfcc: Any = kaldi_native_fbank.OnlineMfcc(mfcc_options())
        self._frames = 0

    def push(self, samples: NDArray[np.float32]) -> FloatArray | None:
        """Feed the next 320 samples; the newest window's (26,), None until the first window is full."""
        self._mfcc.accept_waveform(16000, samples.tolist())
        ready = self._mfcc.num_frames_ready
        if ready == self._frames:
            return None
        frame = np.array(self._mfcc.get_frame(ready - 1), np.float32)
        self._mfcc.pop(ready - self._frames)
        self._frames = ready
        return frame if np.isfinite(frame).all() else np.nan_to_num(frame)


def loudness_dbfs(window: NDArray[np.float32]) -> float:
    """RMS of sound in -1..1, dB relative to full scale, at least -100."""
    power = float(np.dot(window, window)) / max(len(window), 1)
    return max(SILENCE_DBFS, 10.0 * math.log10(power)) if power > 0.0 else SILENCE_DBFS


_LOW_LAG: Final = int(16000 / PITCH_HIGH_HZ)
_HIGH_LAG: Final = math.ceil(16000 / PITCH_LOW_HZ)
_FIRST_LAG: Final = _LOW_LAG - 1
_END_LAG: Final = _HIGH_LAG + 2


def pitch_hz(window: NDArray[np.float32]) -> float:
    """Fundamental frequency of a 40 ms window, 0 = unvoiced.

    Normalised cross-correlation of the window with itself shifted by the lag (Talkin 1995, RAPT): the first peak that
    reaches 87 % of the highest one, so a multiple of the period is not taken for the period; a parabola refines it.
    """
    centred = np.asarray(window, np.float64) - float(window.mean())
    energy = np.cumsum(np.square(centred))
    if energy[-1] < len(window) * 10.0 ** (_VOICED_DBFS / 10.0):
        return 0.0
    spectrum = np.fft.rfft(centred, _FFT)
    products = np.fft.irfft(spectrum * spectrum.conj(), _FFT)[_FIRST_LAG:_END_LAG]
    head = energy[len(centred) - _END_LAG : len(centred) - _FIRST_LAG][::-1]
    tail = energy[-1] - energy[_FIRST_LAG - 1 : _END_LAG - 1]
    correlation = products / np.sqrt(np.maximum(head * tail, 1e-12))
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner >= correlation[:-2]) & (inner > correlation[2:]))
    if not len(peaks) or inner[peaks].max() < _VOICED:
        return 0.0
    first = int(peaks[np.argmax(inner[peaks] >= _FIRST_PEAK * inner[peaks].max())])
    left, middle, right = correlation[first], inner[first], correlation[first + 2]
    curve = left - 2.0 * middle + right
    shift = 0.5 * (left - right) / curve if curve < 0.0 else 0.0
    frequency = 16000.0 / (_FIRST_LAG + first + 1 + min(max(shift, -0.5), 0.5))
    return float(min(max(frequency, PITCH_LOW_HZ), PITCH_HIGH_HZ))
