"""Offsets of lips to sound, and what lips from sound cost."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.clock import NS
from reactdiff_ros.evaluation.bench.speech import jaws_of, offsets_ms, speech_figures
from reactdiff_ros.types import Sound

RATE, CHUNK = 16_000, 320


def voice(seconds: float = 9.0, start_ns: int = 1_700_000_000 * NS) -> list[Sound]:
    """Syllables of irregular length and loudness: a buzz through three formants."""
    rng, count = np.random.default_rng(0), round(seconds * RATE)
    t = np.arange(count) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) * np.exp(-(((120 * k - f) / 200) ** 2))
               for k in range(1, 30) for f in (600, 1200, 2500))  # fmt: skip
    places = np.cumsum(rng.uniform(0.12, 0.45, 80))
    loud = np.interp(t, places, rng.uniform(0.0, 1.0, 80) * (np.arange(80) % 2))
    samples = (9000 * loud * buzz / np.abs(buzz).max()).astype(np.int16)[:, None]
    return [Sound(start_ns + i * NS // RATE, RATE, samples[i : i + CHUNK]) for i in range(0, count - CHUNK + 1, CHUNK)]


def offsets(heard: list[Sound], shown: list[tuple[int, float]]) -> list[float]:
    times, jaws, _ = jaws_of(heard, lambda: 0.0)
    return offsets_ms(times, jaws, shown)


@pytest.mark.parametrize("late_ms", [-80.0, 35.0])
def test_a_jaw_that_is_late_is_found_to_be_late(late_ms: float) -> None:
    heard = voice()
    times, jaws, _ = jaws_of(heard, lambda: 0.0)
    at = np.arange(times[0] - NS, times[-1] + NS, NS // 50)
    shown = [(int(t), float(j)) for t, j in zip(at, np.interp(at - late_ms * 1e6, times, jaws), strict=True)]
    found = offsets_ms(times, jaws, shown)
    assert len(found) >= 3
    assert np.median(found) == pytest.approx(late_ms, abs=5.0)


def test_without_speech_or_faces_there_is_no_offset() -> None:
    heard = voice(3.0)
    still = [(s.stamp_ns, 0.0) for s in heard]
    silent = [Sound(s.stamp_ns, RATE, np.zeros_like(s.samples)) for s in heard]
    assert offsets([], still) == offsets(heard, []) == offsets(heard, still) == offsets(silent, still) == []
    assert speech_figures([], still)["cores"] is None


def test_cost_is_time_over_sound() -> None:
    heard, ticks = voice(2.0), iter(np.arange(0.0, 10.0, 0.001))
    figures = speech_figures(heard, [], lambda: float(next(ticks)))
    assert figures["sound_ms"] == {"p50": 1.0, "p95": 1.0, "p99": 1.0, "n": len(heard)}
    assert figures["cores"] == pytest.approx(0.05)
