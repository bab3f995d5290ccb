"""The demo speaker's voice: our sentences, spoken by espeak-ng, on one sound track. Needed only to make the clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.simulator.voices import VOICE_RATE_HZ, espeak

RATE_HZ = VOICE_RATE_HZ
VOICE = "en-us+f3"
FLOOR_DBFS = -66.0
"""Noise of a quiet room: a live microphone is never digitally silent."""
PEAK = 0.5

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Sentence:
    """One utterance: SSML inside <speak>; `pitch` 0..99 and `speed` in words a minute, as espeak-ng has them."""

    start_s: float
    text: str
    pitch: int = 60
    speed: int = 150


def sound_track(sentences: tuple[Sentence, ...], seconds: float, rng: np.random.Generator) -> Samples:
    """All sentences on one track of `seconds` at RATE_HZ, over quiet room noise.

    Raises:
        ReactdiffError: a sentence runs into the next one or over the end; or as `simulator.voices.espeak`.
    """
    track = (10 ** (FLOOR_DBFS / 20) * rng.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)
    ends = [s.start_s for s in sentences[1:]] + [seconds]
    for sentence, limit in zip(sentences, ends, strict=True):
        sound = espeak(VOICE, sentence.text, sentence.pitch, sentence.speed)
        start = round(sentence.start_s * RATE_HZ)
        if start + len(sound) > limit * RATE_HZ:
            raise ReactdiffError(
                "a sentence of the demo is too long",
                where=f"{sentence.text!r} lasts {len(sound) / RATE_HZ:.1f} s, has {limit - sentence.start_s:.1f} s",
            )
        track[start : start + len(sound)] += sound * (PEAK / np.abs(sound).max())
    return np.asarray(np.clip(track, -1, 1), dtype=np.float32)


def loudness(track: Samples, rate_hz: int, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How wide the voice opens the mouth at `times_s`: 0 (below -42 dBFS) .. 1 (at -14 dBFS), over 50 ms."""
    energy = np.concatenate([[0.0], np.cumsum(track.astype(np.float64) ** 2)])
    half = 0.05 * rate_hz / 2
    low = np.clip(np.round(times_s * rate_hz - half), 0, len(track)).astype(int)
    high = np.clip(np.round(times_s * rate_hz + half), 0, len(track)).astype(int)
    mean = (energy[high] - energy[low]) / np.maximum(high - low, 1)
    db = 10 * np.log10(np.maximum(mean, 1e-10))
    return np.asarray(np.clip((db + 42) / 28, 0, 1))


def brightness(track: Samples, rate_hz: int, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the sound above about 1.5 kHz, 0..1: spread lips (ee, s) make it bright, round ones (oo, m) dark."""
    high_pass = np.diff(track, prepend=track[:1])
    scale = 2 * np.sin(np.pi * 1500.0 / rate_hz)
    sounds = (track, (high_pass / scale).astype(np.float32))
    loud, bright = (10 ** (28 * loudness(sound, rate_hz, times_s) / 20) for sound in sounds)
    return np.asarray(np.clip(bright / (bright + loud), 0, 1))
