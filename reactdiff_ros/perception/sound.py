"""Features of voice in windows of 40 ms: MFCC as Kaldi computes them, pitch, loudness."""

from __future__ import annotations

import math
from typing import Any, Final

import kaldi_native_fbank
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import MFCC_COUNT, FloatArray

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
