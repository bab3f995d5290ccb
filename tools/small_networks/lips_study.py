"""How well lips follow sound: correlation with known lips, closures, stillness in silence, beside loudness and chance.

Real recordings have offsets of their own, so correlations are taken at the lag that fits best within LAGS_S, and the
same is done with the mouth of other moments (`shuffled`), which is what chance gives. Errors are in coefficients, and
of the whole shown face in millimetres on the mesh of ICT-FaceKit where the user gives it (`metrics/mesh.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import to_ns
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, MOUTH
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.metrics.coupling import pearson
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.expression.engine import ExpressionEngine
from reactdiff_ros.speech.lips import Lips, LipWeights
from reactdiff_ros.speech.visemes import MOUTH_NAMES, STEP, curves_of, phones_of
from reactdiff_ros.types import FloatArray, Mouth, OnProgress, Sound, SpeechTiming
from tools.small_networks.closures import closure_counts, f1, runs
from tools.small_networks.known_lips import KnownLips
from tools.small_networks.mesh import FaceMesh
from tools.small_networks.timed_voices import Spoken, espeak, flite, piper, sentence

Array = NDArray[np.float64]
LAGS_S: Final = 0.24
SHIFTS: Final = 24
"""Other moments whose mouth stands for chance."""
SILENT_DBFS: Final = -50.0
SHOWN_HZ: Final = 50
PIECE_S: Final = 0.2
"""The mouth reaches the face in pieces of this length, as when the robot speaks."""
_JAW, _CLOSE = MOUTH_NAMES.index("jawOpen"), MOUTH_NAMES.index("mouthClose")
_ROUND: Final = [MOUTH_NAMES.index("mouthFunnel"), MOUTH_NAMES.index("mouthPucker")]
TEST_LANGUAGE: Final = "es"
"""Of espeak-ng; the network has never heard it."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """Jaw and rounding (T,) at 100 Hz; more rounding than 1 can be where funnel and pucker act together."""

    jaw: Array
    rounding: Array


def tracks(coefficients: NDArray[Any]) -> Tracks:
    """Of the mouth's coefficients (T, mouth)."""
    values = np.asarray(coefficients, np.float64)
    return Tracks(values[:, _JAW], values[:, _ROUND].sum(axis=1))


def best(shown: Tracks, truth: Tracks) -> tuple[float, float, float]:
    """R of jaw and rounding, and the lag in s at which they fit best; positive: the truth is later than the mouth."""
    reach = round(LAGS_S * STEP)
    count = min(len(shown.jaw), len(truth.jaw))
    found = []
    for lag in range(-reach, reach + 1, 2):
        a, b = slice(max(-lag, 0), count - max(lag, 0)), slice(max(lag, 0), count - max(-lag, 0))
        pair = pearson(shown.jaw[a], truth.jaw[b]), pearson(shown.rounding[a], truth.rounding[b])
        found.append((float(np.nansum(pair)), *pair, lag / STEP))
    _, jaw, rounding, lag_s = max(found)
    return jaw, rounding, lag_s


def shuffled(shown: Tracks, truth: Tracks) -> tuple[float, float]:
    """Mean r at the best lag of mouths of other moments."""
    count = min(len(shown.jaw), len(truth.jaw))
    shifts = np.linspace(0.15, 0.85, SHIFTS) * count
    rows = [best(Tracks(np.roll(shown.jaw, int(s)), np.roll(shown.rounding, int(s))), truth)[:2] for s in shifts]
    jaw, rounding = (float(np.nanmean([row[i] for row in rows])) if rows else float("nan") for i in range(2))
    return jaw, rounding


def on_grid(coefficients: NDArray[Any], rate_hz: float, frames: int) -> Array:
    """The mouth's coefficients (frames, mouth) at 100 Hz of (N, 52) at `rate_hz`."""
    at, times = np.arange(frames) / STEP, np.arange(len(coefficients)) / rate_hz
    return np.stack([np.interp(at, times, coefficients[:, i]) for i in MOUTH], axis=1)


def levels_db(sound: Sound, frames: int) -> Array:
    """(frames,) dBFS of 40 ms around each frame."""
    squares = np.square(np.asarray(sound.samples, np.float64).mean(axis=1) / 32768.0)
    total = np.concatenate([[0.0], np.cumsum(squares)])
    middle = np.arange(frames) * sound.rate_hz // STEP
    half = sound.rate_hz // 50
    low, high = np.clip(middle - half, 0, len(squares)), np.clip(middle + half, 0, len(squares))
    return np.asarray(10.0 * np.log10((total[high] - total[low]) / np.maximum(high - low, 1) + 1e-10))


def loudness_mouth(level: Array) -> FloatArray:
    """(T, mouth) that opens and rounds with the loudness: what a simple mouth does."""
    loud = np.clip((level + 50.0) / 40.0, 0.0, 1.0)
    smooth = np.convolve(loud, np.hanning(9) / np.hanning(9).sum(), "same")
    values = np.zeros((len(level), len(MOUTH)), np.float32)
    values[:, _JAW] = 0.6 * smooth
    values[:, _ROUND] = 0.2 * smooth[:, None]
    return values


def closed_by(truth: Array, level: Array) -> Array:
    """(C, 2) s: where known lips meet for 30 to 250 ms while there is sound around."""
    aperture = truth[:, _JAW] - truth[:, _CLOSE]
    limit = 0.1 * float(np.quantile(aperture, 0.95))
    sounding = np.convolve(level > SILENT_DBFS, np.ones(41), "same") > 20
    found = runs((aperture <= limit) & sounding)
    length = found[:, 1] - found[:, 0]
    return found[(length >= 0.03) & (length <= 0.25)]


def error(shown: NDArray[Any], truth: Array) -> float:
    """Root mean square error of the moving coefficients, after the one factor that fits the sizes best."""
    count = min(len(shown), len(truth))
    a, b = np.asarray(shown, np.float64)[:count], truth[:count]
    moving = b.std(axis=0) > 1e-3
    a, b = a[:, moving], b[:, moving]
    size = float((a * a).sum())
    factor = max(float((a * b).sum()) / size, 0.0) if size > 0 else 0.0
    return float(np.sqrt(np.square(factor * a - b).mean())) if moving.any() else float("nan")


def shown_face(mouth: Mouth, seed: int = 0) -> Array:
    """(T, 52) at 50 Hz: the face that a robot shows while it speaks with this mouth."""
    engine, piece = ExpressionEngine(seed=seed), round(PIECE_S * STEP)
    frames = []
    for tick in range(len(mouth.level) * SHOWN_HZ // STEP):
        now_ns = mouth.start_ns + to_ns(tick / SHOWN_HZ)
        if tick % round(PIECE_S * SHOWN_HZ) == 0:
            part = slice(tick * STEP // SHOWN_HZ, tick * STEP // SHOWN_HZ + piece)
            rows = {name: getattr(mouth, name)[part] for name in ("coefficients", "closure", "accent", "level")}
            engine.on_mouth(replace(mouth, start_ns=now_ns, **rows), now_ns)
        frames.append(engine.tick(now_ns).coefficients[:BLENDSHAPE_COUNT])
    return np.asarray(frames, np.float64)


def on_mesh(mesh: FaceMesh, mouths: Mapping[str, Mouth], known: KnownLips, lag_s: float) -> dict[str, Any]:
    """Lip vertex error and upper-face dynamics deviation of the shown face, mm, of each mouth."""
    found = {}
    for name, mouth in mouths.items():
        shown = shown_face(mouth)
        times = np.arange(len(shown)) / SHOWN_HZ + lag_s
        at = np.arange(len(known.coefficients)) / known.rate_hz
        inside = (times >= 0.0) & (times <= at[-1])
        truth = np.stack([np.interp(times[inside], at, values) for values in known.coefficients.T], axis=1)
        found[name] = {
            "lip_error": mesh.lip_error(shown[inside], truth),
            "upper_deviation": mesh.upper_deviation(shown[inside], truth),
        }
    return found


def evaluate(
    known: KnownLips, weights: LipWeights | None = None, timing: SpeechTiming | None = None,
    mesh: FaceMesh | None = None,
) -> Study:  # fmt: skip
    """All figures of one recording; `timing` adds the table's and says when lips are shut, `mesh` errors in mm."""
    lips = Lips(weights)
    mouth = lips.whole(known.sound)
    frames = len(mouth.level)
    truth_all = on_grid(known.coefficients, known.rate_hz, frames)
    seconds = min(frames / STEP, len(known.coefficients) / known.rate_hz)
    count = int(seconds * STEP)
    if count < STEP:
        raise MediaError("sound and lips have less than a second in common", where=known.name)
    truth_all, level = truth_all[:count], levels_db(known.sound, count)
    truth = tracks(truth_all)
    jaw, rounding, lag = best(tracks(mouth.coefficients[:count]), truth)
    chance = shuffled(tracks(mouth.coefficients[:count]), truth)
    closures = phones_of(timing).closures() if timing is not None else closed_by(truth_all, level)
    silent = np.convolve(level > SILENT_DBFS, np.ones(41), "same") == 0
    rows = {name: getattr(mouth, name)[:count] for name in ("coefficients", "closure", "accent", "level")}
    mouth = replace(mouth, **rows)
    simple = loudness_mouth(level)
    simple_jaw, simple_rounding, _ = best(tracks(simple), truth)
    rolled, moved_closure = (np.roll(of, count // 2, axis=0) for of in (mouth.coefficients, mouth.closure))
    mouths = {
        "network": mouth,
        "loudness": replace(mouth, coefficients=simple, closure=np.zeros(count, np.float32)),
        # The mouth of another moment, with the accents and levels of this one.
        "shuffled": replace(mouth, coefficients=rolled, closure=moved_closure),
    }
    found: dict[str, Any] = {
        "r": {"jawOpen": jaw, "rounding": rounding},
        "closure_f1": f1(*closure_counts(mouth.closure[:count], closures)) if len(closures) else None,
        "silence": {"jawOpen": float(mouth.coefficients[:count][silent, _JAW].mean()) if silent.any() else None},
        "lag_ms": 1000.0 * lag,
        "shuffled": {"jawOpen": chance[0], "rounding": chance[1]},
        "loudness": {"jawOpen": simple_jaw, "rounding": simple_rounding},
        "closures": len(closures),
        "seconds": seconds,
    }
    if timing is not None:
        table = curves_of(phones_of(timing), count)
        table_jaw, table_rounding, _ = best(tracks(table.coefficients), truth)
        counts = closure_counts(table.closure, closures)
        found["table"] = {"jawOpen": table_jaw, "rounding": table_rounding, "closure_f1": f1(*counts)}
        mouths["table"] = replace(mouth, coefficients=table.coefficients, closure=table.closure)
    found["rms_error"] = {name: error(of.coefficients, truth_all) for name, of in mouths.items()}
    if mesh is not None:
        found["mesh_mm"] = on_mesh(mesh, mouths, known, lag)
    return Study(found)


def read_timing(path: Path) -> SpeechTiming:
    """A JSON file with alphabet, symbols, starts and ends (s from the beginning of the sound). Raises MediaError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        times = [np.array(found[name], np.float32) for name in ("starts", "ends")]
        symbols = tuple(str(symbol) for symbol in found["symbols"])
        alphabet = found.get("alphabet", "ipa")
        if alphabet not in ("ipa", "arpabet", "oculus", "azure"):
            raise ValueError(f"alphabet {alphabet!r:.40} is not ipa, arpabet, oculus or azure")
        if any(time.shape != (len(symbols),) for time in times):
            raise ValueError("symbols, starts and ends differ in number")
        return SpeechTiming(path.stem, 0, alphabet, symbols, *times)
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise MediaError("the timing cannot be read", where=str(path), todo=str(problem)[:200]) from problem


def evaluate_voices(
    weights: LipWeights | None = None, *, count: int = 40, piper_voice: tuple[Path, str] | None = None,
    progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """Figures on voices that were never trained on: flite slt, espeak-ng's Spanish and, where given, a voice of piper.

    Truth is the table's mouth of their timed sounds. `piper_voice`: the .onnx file and an interpreter with piper-tts.
    """
    rng = np.random.default_rng(2026)
    texts = [sentence(rng, 0.15) for _ in range(count)]
    jobs = [
        {"voice": TEST_LANGUAGE + variant, "speed": 165, "pitch": pitch, "range": 50, "text": sentence(rng, 0.6)}
        for variant, pitch in [("", 50), ("+f2", 60), ("+m3", 40), ("+f5", 70)] * (count // 4)
    ]
    spoken = {"flite slt": [flite("slt", text) for text in texts], "espeak-ng es": list(espeak(jobs))}
    if piper_voice is not None:
        spoken["piper"] = list(piper(piper_voice[0], texts, piper_voice[1]))
    found = {}
    for number, (name, takes) in enumerate(spoken.items()):
        found[name] = _of_voice(takes, weights)
        progress((number + 1) / len(spoken))
    return Study(found)


def _of_voice(takes: Sequence[Spoken], weights: LipWeights | None) -> dict[str, Any]:
    lips = Lips(weights)
    net, table, loud = [], [], []
    counts, timed = np.zeros(3, int), np.zeros(3, int)
    for take in takes:
        samples = np.clip(take.samples * 32767.0, -32768, 32767).astype(np.int16)[:, None]
        mouth = lips.whole(Sound(0, take.rate_hz, samples))
        phones, count = phones_of(take.timing), len(mouth.level)
        curves = curves_of(phones, count)
        counts += closure_counts(mouth.closure, phones.closures())
        timed += closure_counts(curves.closure, phones.closures())
        net.append(mouth.coefficients)
        table.append(curves.coefficients)
        loud.append(loudness_mouth(levels_db(Sound(0, take.rate_hz, samples), count)))
    truth_all, shown = np.concatenate(table), np.concatenate(net)
    all_of = {"network": shown, "loudness": np.concatenate(loud)}
    all_of["shuffled"] = np.roll(shown, len(shown) // 2, axis=0)
    truth, r = tracks(truth_all), dict[str, dict[str, float]]()
    for name, mouths in all_of.items():  # without a lag
        of = tracks(mouths)
        r[name] = {"jawOpen": pearson(of.jaw, truth.jaw), "rounding": pearson(of.rounding, truth.rounding)}
    return {
        "r": r["network"],
        "closure_f1": f1(*counts.tolist()),
        "closure_f1_timed": f1(*timed.tolist()),
        "loudness": r["loudness"],
        "shuffled": r["shuffled"],
        "rms_error": {name: error(of, truth_all.astype(np.float64)) for name, of in all_of.items()},
        "sentences": len(takes),
        "closures": int(counts[2]),
    }


def silent_mouth(weights: LipWeights | None = None, seconds: float = 10.0) -> float:
    """Mean jawOpen in digital silence after a word of noise."""
    rng = np.random.default_rng(0)
    samples = np.zeros((int(16000 * (seconds + 1)), 1), np.int16)
    samples[:16000, 0] = rng.normal(0, 3000, 16000).clip(-32000, 32000)
    mouth: Mouth = Lips(weights).whole(Sound(0, 16000, samples))
    return float(mouth.coefficients[130:, _JAW].mean())
