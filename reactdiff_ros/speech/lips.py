"""The robot's own sound to its mouth: a small causal network for any voice, the table where the sounds are timed.

The network (dilated convolutions over 40 log-mel bands, 100 frames a second in blocks of two) is computed with NumPy,
block by block, so the same sound gives the same bits however it is cut into chunks. It hears at most `LOOK_AHEAD_S`
past the frame that it shows. The level of the sound opens and shuts a gate: in silence the mouth rests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import MOUTH, mouth_places
from reactdiff_ros.errors import MediaError, ReactdiffError, WeightsError
from reactdiff_ros.resampling import RATE_HZ, Resampler, mono
from reactdiff_ros.resources import resource_path
from reactdiff_ros.speech.visemes import STEP, closed, timed_mouth
from reactdiff_ros.types import FloatArray, Mouth, Sound, SpeechTiming

BANDS: Final = 40
HOP: Final = RATE_HZ // STEP
WINDOW: Final = 400
"""25 ms."""
BLOCK: Final = 2
"""Frames that are computed at once."""
AHEAD: Final = BLOCK
"""Frames that the network hears past those it shows: a block."""
_EARLY: Final = 64
"""Samples by which the middle of a window is before its frame, so that the look-ahead stays below 40 ms."""
LOOK_AHEAD_S: Final = (2 * BLOCK - 1) / STEP + (WINDOW / 2 - _EARLY) / RATE_HZ
"""38.5 ms for the first frame of a block, 28.5 ms for the second; the resampler adds 1.5 ms (8 kHz: 3 ms)."""
_BEFORE: Final = WINDOW // 2 + _EARLY
"""Samples of the first window that are before the sound."""
OUTPUTS: Final = (
    "jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthStretch", "mouthSmile",
    "mouthPress", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "jawForward", "tongueOut", "closure", "accent",
)  # fmt: skip
"""What the network gives: coefficients, the same on both sides; log odds of closed lips; prominence."""
SHAPED: Final = len(OUTPUTS) - 2
_ROLL: Final = OUTPUTS.index("mouthRollLower")
"""What f and v show: the lower lip at the teeth."""
RATES_HZ: Final = (8000, 192_000)
GATE_DBFS: Final = -50.0
_HOLD: Final = 12
"""Frames that sound holds the gate open: a stop is silent for up to 0.1 s."""
_OPENING, _SHUTTING = 0.25, 0.08
"""Of the gate, a frame."""
_FIRM: Final = 0.8
"""Firmness of the closed lips of p, b and m where they are as likely as not; fully shut from log odds of .25."""
_GAP_S: Final = 0.1
"""How far stamps may differ from the count of samples before the stream starts over."""
_AUDIBLE: Final = 0.05
"""Level above which sound goes on after its timing has ended."""
_HANDOVER: Final = 10
"""Frames of the change from the table to the network."""
_FILE: Final = "lips.npz"
_FFT: Final = 512
_LOW_HZ, _HIGH_HZ = 60.0, 7800.0
_FLOOR: Final = 1e-7


COLUMNS: Final = np.array([np.isin(np.arange(len(MOUTH)), mouth_places(name)) for name in OUTPUTS[:SHAPED]], np.float32)
"""(SHAPED, mouth): which coefficients of a mouth each output is."""


@cache
def _bands() -> NDArray[np.float32]:
    """(BANDS, bins) triangles that are equally wide on the mel scale (O'Shaughnessy), each of unit sum."""
    low, high = (2595.0 * np.log10(1.0 + f / 700.0) for f in (_LOW_HZ, _HIGH_HZ))
    mel = np.linspace(low, high, BANDS + 2)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    bins = np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0.0, np.minimum(rise, fall))
    return np.asarray(triangles / np.maximum(triangles.sum(1, keepdims=True), 1e-9), np.float32)


_HANN: Final = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)


def log_mels(samples: NDArray[np.float32]) -> FloatArray:
    """(T, BANDS) of windows (T, WINDOW) at 16 kHz in -1..1, about -4 in silence to 3."""
    power = np.square(np.abs(np.fft.rfft(samples * _HANN, _FFT))) @ _bands().T
    return np.asarray((np.log(power + _FLOOR) + 6.0) / 2.5, np.float32)


def windows(samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """(frames, WINDOW) whose middles are HOP apart, of samples (n,)."""
    step = samples.strides[0]
    view: NDArray[np.float32] = np.ndarray((frames, WINDOW), np.float32, samples, 0, (HOP * step, step))
    return view


def level_dbfs(samples: NDArray[np.float32]) -> FloatArray:
    """(T,) of windows (T, WINDOW)."""
    return np.asarray(10.0 * np.log10(np.einsum("ij,ij->i", samples, samples) / WINDOW + 1e-10), np.float32)


def features_of(sound: Sound) -> FloatArray:
    """(T, BANDS) of a whole recording: T frames, the last within it."""
    resampler = Resampler(sound.rate_hz)
    resampler.push(np.concatenate([mono(sound.samples), np.zeros(sound.rate_hz // 4, np.float32)]))
    frames = len(sound.samples) * STEP // sound.rate_hz
    if not frames:
        return np.zeros((0, BANDS), np.float32)
    heard = resampler.take((frames - 1) * HOP + WINDOW - _BEFORE)
    at_16k = np.concatenate([np.zeros(_BEFORE, np.float32), heard])
    return log_mels(windows(at_16k, frames))


@dataclass(frozen=True)
class LipWeights:
    """The network. `first`: (2 BLOCK BANDS, C), layers (3 C, C) with dilations, `out`: (C, BLOCK len(OUTPUTS))."""

    first: FloatArray
    first_bias: FloatArray
    layers: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    dilations: tuple[int, ...]
    out: FloatArray
    out_bias: FloatArray
    gains: FloatArray
    """(SHAPED,) by which outputs are stretched so that the mouth moves as far as the table's."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the file holds; matrices in half precision."""
        half = {f"layer{i}": w.astype(np.float16) for i, w in enumerate(self.layers)}
        whole = {f"bias{i}": b for i, b in enumerate(self.biases)}
        return {
            "first": self.first.astype(np.float16), "first_bias": self.first_bias, **half, **whole,
            "out": self.out.astype(np.float16), "out_bias": self.out_bias, "gains": self.gains,
            "dilations": np.array(self.dilations),
        }  # fmt: skip


def read_weights(path: Path | None = None) -> LipWeights:
    """The shipped weights, or those of a file of `reactdiff dev train-lips`.

    Raises:
        WeightsError: the file is missing or is no such network.
    """
    try:
        path = resource_path(Path("models") / "lips" / _FILE) if path is None else path
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        dilations = tuple(int(d) for d in found["dilations"])
        full = {name: np.ascontiguousarray(value, np.float32) for name, value in found.items()}
        width = full["first"].shape[1]
        shapes = [("first", (2 * BLOCK * BANDS, width)), ("out", (width, BLOCK * len(OUTPUTS))), ("gains", (SHAPED,))]
        shapes += [(f"layer{i}", (3 * width, width)) for i in range(len(dilations))]
        wrong = [n for n, shape in shapes if full[n].shape != shape]
        wrong += [n for n, v in full.items() if not np.isfinite(v).all()]
        if wrong or not all(1 <= d <= 256 for d in dilations):
            raise ValueError(", ".join(wrong))
        layers = range(len(dilations))
        return LipWeights(
            full["first"], full["first_bias"], tuple(full[f"layer{i}"] for i in layers),
            tuple(full[f"bias{i}"] for i in layers), dilations, full["out"], full["out_bias"], full["gains"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, ReactdiffError) as error:
        todo = "run 'make setup' in the source folder or install the package again"
        raise WeightsError("the network of the lips cannot be loaded", where=str(path or _FILE), todo=todo) from error


class _Net:
    """The network's state: what each layer still needs of the past."""

    def __init__(self, weights: LipWeights) -> None:
        self._w = weights
        self._heard = np.repeat(log_mels(np.zeros((1, WINDOW), np.float32)), 2 * BLOCK, axis=0)
        width = weights.first.shape[1]
        self._layers = [
            (np.zeros((2 * d + 1, width), np.float32), np.array([0, d, 2 * d]), weight, bias)
            for d, weight, bias in zip(weights.dilations, weights.layers, weights.biases, strict=True)
        ]
        for _ in range(2 * sum(weights.dilations) + 2):  # as if there had always been silence
            self.step(self._heard[:BLOCK])

    def step(self, mels: FloatArray) -> FloatArray:
        """(BLOCK, len(OUTPUTS)) of the block before the next (BLOCK, BANDS)."""
        w, heard = self._w, self._heard
        heard[:BLOCK] = heard[BLOCK:]
        heard[BLOCK:] = mels
        h = heard.reshape(-1) @ w.first
        h += w.first_bias
        for past, looks, weight, bias in self._layers:
            past[:-1] = past[1:]
            np.maximum(h, 0.0, out=past[-1])
            h += past.take(looks, 0).reshape(-1) @ weight
            h += bias
        return np.asarray((np.maximum(h, 0.0) @ w.out + w.out_bias).reshape(BLOCK, -1))


class Lips:
    """Own sound in, tracks of the mouth out. Call from one thread at a time.

    Args:
        weights: of the network; None: the shipped ones.
        on_problem: receives each kind of problem once, in one sentence.

    Raises:
        WeightsError: the shipped weights are missing.
    """

    def __init__(self, weights: LipWeights | None = None, on_problem: Callable[[str], object] | None = None) -> None:
        self._weights = read_weights() if weights is None else weights
        self._on_problem = on_problem
        self._reported: set[str] = set()
        self._timed: list[tuple[int, int]] = []
        """Begins and ends (ns) of what tables speak for."""
        self.utterance = ""
        """Id that tracks from sound carry."""
        self._begin(0, RATE_HZ)

    def _begin(self, stamp_ns: int, rate_hz: int) -> None:
        self._start_ns, self._rate_hz, self._samples = stamp_ns, rate_hz, 0
        self._resampler = Resampler(rate_hz)
        self._sound = np.zeros(_BEFORE, np.float32)
        self._net = _Net(self._weights)
        self._levels: list[float] = []
        self._frames = 0
        """Frames heard."""
        self._shown = 0
        self._recent = np.full(_HOLD + AHEAD, -100.0, np.float32)
        self._gate, self._loudness = 0.0, 0.0

    def follow(self, timing: SpeechTiming) -> Mouth:
        """The track of an utterance by the table; until it ends, tracks from sound leave its time out."""
        mouth = timed_mouth(timing, lambda sentence: self._problem("symbols", sentence))
        end_ns = timing.start_ns + len(mouth.level) * NS // STEP
        self._timed = [*self._timed[-7:], (timing.start_ns, end_ns)]
        return mouth

    def push(self, sound: Sound) -> list[Mouth]:
        """What this chunk makes known; none while it is too short, or where `follow` speaks for its time.

        A gap in the stamps or another rate starts the stream over.

        Raises:
            MediaError: the rate is outside 8 to 192 kHz.
        """
        if not RATES_HZ[0] <= sound.rate_hz <= RATES_HZ[1]:
            raise MediaError(f"own sound at {sound.rate_hz} Hz", todo="give 8000 to 192000 Hz")
        found: list[Mouth] = []
        expected = self._start_ns + self._samples * NS // self._rate_hz
        if self._samples == 0 or sound.rate_hz != self._rate_hz or abs(sound.stamp_ns - expected) > _GAP_S * NS:
            found = self.flush()
            self._begin(sound.stamp_ns, sound.rate_hz)
        if sound.samples.ndim != 2 or not sound.samples.size:
            return found
        self._samples += len(sound.samples)
        return found + self._heard(mono(sound.samples))

    def flush(self) -> list[Mouth]:
        """The last frames, when the sound has ended; the next chunk starts over."""
        if self._samples == 0:
            return []
        rest = self._samples * STEP // self._rate_hz + AHEAD + _HOLD + round(1 / _SHUTTING)
        missing = (rest + BLOCK) * self._rate_hz // STEP - self._samples + self._rate_hz // 10
        found = self._heard(np.zeros(missing, np.float32), rest)
        self._begin(0, RATE_HZ)
        return found

    def whole(self, sound: Sound, timing: SpeechTiming | None = None) -> Mouth:
        """The one track of a whole utterance, from a fresh start: by the table where it is timed, else by the network.

        Where the timing ends while the sound goes on for 0.3 s or more, the network shows the rest.
        """
        other = Lips(self._weights, self._on_problem)
        other.utterance = self.utterance if timing is None else timing.utterance
        first, last = other.push(sound), other.flush()
        heard = _joined([*first, *last], sound.stamp_ns, other.utterance)
        if timing is None:
            return heard
        table = timed_mouth(timing, lambda sentence: self._problem("symbols", sentence))
        late = round((timing.start_ns - sound.stamp_ns) * STEP / NS)
        return _laid_over(heard, table, late)

    def _problem(self, kind: str, sentence: str) -> None:
        if kind not in self._reported and self._on_problem is not None:
            self._on_problem(sentence)
        self._reported.add(kind)

    def _heard(self, samples: NDArray[np.float32], until: int | None = None) -> list[Mouth]:
        """Frames that more samples of the stream's rate make known, up to frame `until`."""
        self._resampler.push(samples)
        ready = self._resampler.reach() - (self._frames * HOP + len(self._sound) - _BEFORE)
        self._sound = np.concatenate([self._sound, self._resampler.take(ready)]) if ready > 0 else self._sound
        outputs: list[FloatArray] = []
        levels: list[FloatArray] = []
        at, span = 0, (BLOCK - 1) * HOP + WINDOW
        while len(self._sound) - at >= span:
            cut = windows(self._sound[at : at + span], BLOCK)
            outputs.append(self._net.step(log_mels(cut)))
            levels.append(level_dbfs(cut))
            at += BLOCK * HOP
        self._sound = self._sound[at:].copy()
        if not outputs:
            return []
        self._frames += BLOCK * len(outputs)
        return self._tracks(np.concatenate(outputs), np.concatenate(levels), until)

    def _tracks(self, outputs: FloatArray, levels: FloatArray, until: int | None) -> list[Mouth]:
        gate, loudness = np.empty(len(levels), np.float32), np.empty(len(levels), np.float32)
        recent = np.concatenate([self._recent, levels])
        for i in range(len(levels)):  # the frame that output i shows is AHEAD before the newest level
            open_ = recent[i + 1 : i + 1 + _HOLD + AHEAD].max() > GATE_DBFS
            self._gate = min(1.0, self._gate + _OPENING) if open_ else max(0.0, self._gate - _SHUTTING)
            loud = min(max((float(recent[i + _HOLD]) - GATE_DBFS) / 40.0, 0.0), 1.0)
            self._loudness += (0.5 if loud > self._loudness else 0.2) * (loud - self._loudness)
            gate[i], loudness[i] = self._gate, self._loudness if self._gate > 0.0 else 0.0
        self._recent = recent[len(levels) :]
        first = self._frames - len(levels) - AHEAD
        skip = max(0, -first)
        end = len(levels) if until is None else max(skip, min(len(levels), until - first))
        if end <= skip:
            return []
        start_ns = self._start_ns + (first + skip) * NS // STEP
        mouth = self._mouth(start_ns, outputs[skip:end], gate[skip:end], loudness[skip:end])
        return self._free(mouth) if self._timed else [mouth]

    def _mouth(self, start_ns: int, outputs: FloatArray, gate: FloatArray, loudness: FloatArray) -> Mouth:
        shapes = outputs[:, :SHAPED] * self._weights.gains
        shapes *= gate[:, None]
        closure = np.clip(_FIRM * (1.0 + outputs[:, SHAPED]), 0.0, 1.0)
        closure = np.maximum(closure, np.clip(2.0 * outputs[:, _ROLL] - 0.4, 0.0, 0.6)) * gate
        accent = np.clip(outputs[:, SHAPED + 1], 0.0, 1.0) * gate
        coefficients = closed(np.clip(shapes, 0.0, 1.0) @ COLUMNS, closure)
        return Mouth(self.utterance, start_ns, coefficients, closure, accent, loudness)

    def _free(self, mouth: Mouth) -> list[Mouth]:
        """The parts of a track that no table speaks for."""
        at = mouth.start_ns + np.arange(len(mouth.level)) * NS // STEP
        free = np.ones(len(at), bool)
        for begin_ns, end_ns in self._timed:
            free &= (at < begin_ns) | (at >= end_ns)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(np.int8)))
        found = []
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            part = slice(first, end)
            rows = mouth.coefficients[part], mouth.closure[part], mouth.accent[part], mouth.level[part]
            found.append(Mouth(mouth.utterance, int(at[first]), *rows))
        return found


def _joined(tracks: Sequence[Mouth], start_ns: int, utterance: str) -> Mouth:
    def row(name: str, *width: int) -> FloatArray:
        return np.concatenate([np.zeros((0, *width), np.float32), *(getattr(track, name) for track in tracks)])

    return Mouth(utterance, start_ns, row("coefficients", len(MOUTH)), row("closure"), row("accent"), row("level"))


def _laid_over(heard: Mouth, table: Mouth, late: int) -> Mouth:
    """`table`, which begins `late` frames after `heard`, with the network's rest where the sound goes on; one track.

    The level is the sound's as far as there is sound.
    """
    frames, spoken = len(heard.level), late + len(table.level)
    audible = np.flatnonzero(heard.level > _AUDIBLE)
    goes_on = bool(len(audible)) and int(audible[-1]) > spoken
    length = max(frames if goes_on else min(frames, spoken), spoken, 0)
    at = np.arange(length)
    share = np.clip((spoken - at) / _HANDOVER, 0.0, 1.0) if goes_on else np.ones(length)

    def laid(name: str) -> FloatArray:
        net, timed = (_placed(getattr(track, name), shift, length) for track, shift in ((heard, 0), (table, late)))
        if name == "level":
            return np.where(at < frames, net, timed)
        weight = share.reshape(-1, *(1,) * (net.ndim - 1)).astype(np.float32)
        return np.asarray(weight * timed + (1.0 - weight) * net, np.float32)

    rows = (laid("coefficients"), laid("closure"), laid("accent"), laid("level"))
    return Mouth(table.utterance, heard.start_ns, *rows)


def _placed(values: FloatArray, late: int, length: int) -> FloatArray:
    """`values` (T, ...) from frame `late` on in `length` frames, else 0."""
    found = np.zeros((length, *values.shape[1:]), np.float32)
    part = values[max(-late, 0) :][: max(length - max(late, 0), 0)]
    found[max(late, 0) : max(late, 0) + len(part)] = part
    return found
