"""`evaluate backchannels`: does a listener nod when people say "mm"?

The turns of a real dialogue are filled with real speech, and listeners hear it through the voice's perception as live.
Each of the two participants is a speaker once, the other one the person whose vocal backchannels are the reference.
Only the time in which the speaker has the floor counts: until the other's turn begins, and again from the speaker's
next word. Shapes: T frames of 25 Hz, S streams of each listener, two speakers.

Shapes of nods are compared with those of a table that has a row for each measure and label (github.com/jobschepens/
cross-modal-head-nod-analysis, data/GER_2412.csv): eight statistics, then a column for each nod. Its amplitude and
velocity are relative to the size of a face, ours are angles; so both are divided by their own median, and only their
spread is compared.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.affect import projected
from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH
from reactdiff_ros.errors import MediaError, explained
from reactdiff_ros.evaluation.listeners import StreamListener, named, usual_conditions
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.coupling import pearson
from reactdiff_ros.evaluation.metrics.events import NOD_HALF_CYCLE_RAD, Values, nods
from reactdiff_ros.evaluation.plots import plot_backchannels
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, joined
from reactdiff_ros.model.style import smoothed, stretches
from reactdiff_ros.recordings.datasets.recording import DatasetError, readable_text, speaker_of
from reactdiff_ros.recordings.datasets.turns import Turns
from reactdiff_ros.recordings.extraction import voice_columns
from reactdiff_ros.resampling import RATE_HZ, Resampler, mono
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, OnProgress

Floats = NDArray[np.float64]
PAUSE_S: Final = (0.0, 0.2, 0.5, 1.0, 2.0)
"""Edges of the bins of the speaker's pause so far; the first bin is speech, the last one has no end."""
BINS: Final = ("speech", "0_to_0.2_s", "0.2_to_0.5_s", "0.5_to_1_s", "1_to_2_s", "over_2_s")
LEAST_PAUSE_S: Final = 0.2
"""Silence that people hear as a pause (Heldner and Edlund 2010), and longer than most stops."""
ANSWER_S: Final = 1.0
_ANSWER: Final = round(ANSWER_S * REACTION_RATE_HZ)
LENGTHS_S: Final = (0.0, 0.2, 0.4, 0.7, 1.2, 2.5)
"""Edges of the bins of whole pauses; the last one has no end."""
LENGTH_BINS: Final = ("below_0.2_s", "0.2_to_0.4_s", "0.4_to_0.7_s", "0.7_to_1.2_s", "1.2_to_2.5_s", "over_2.5_s")
IFADV: Final = (0.066, 0.095, 0.136, 0.136, 0.096, 0.020)
"""Share of pauses of these lengths with a verbal backchannel, in all 20 dialogues of the Dutch corpus (elpaco-escience/
ifadv): one dialogue has few."""
IFADV_CHANCE: Final = 0.047
_IFADV: Final = {name: {"excess": value - IFADV_CHANCE} for name, value in zip(LENGTH_BINS, IFADV, strict=True)}
LEAST_EXPOSURE_S: Final = 10.0
"""A bin in which a dialogue was for a shorter time has no hazard."""
LEAST_PAUSES: Final = 5.0
"""And one with fewer pauses has no share of answers."""
SHIFTS: Final = 200
SHIFT_S: Final = 10.0
"""The least by which nods are shifted against the dialogue."""
CELL_S: Final = 60.0
"""What is drawn by bootstrap."""
BATCH: Final = 8
"""Streams that are drawn together, of both speakers: more take less time each."""
FADE_S: Final = 0.01
BREATH_S: Final = 0.1
"""What remains of pauses in the speech that is laid under an utterance, in which the person made none."""
NOISE_DBFS: Final = -65.0
SOUNDS: Final = (".flac", ".wav")


Shapes = Mapping[str, Floats]
"""Values (n,) of each of MEASURES."""
MEASURES: Final = ("length_s", "peaks", "peaks_per_s", "amplitude", "velocity")
RELATIVE: Final = ("amplitude", "velocity")
"""Measures of another unit: over their median."""
_ROWS: Final = dict(
    zip(("length (seconds)", "peaks", "peaks per sec", "extremes amplitude", "velocity"), MEASURES, strict=True)
)
_STATISTICS: Final = 9
"""Columns before those of the nods."""
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
LEAST_NODS: Final = 5


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Two speakers and when they were answered; arrays (2, T)."""

    speaker: SpeakerBatch
    pause_s: Floats
    """The speaker's pause so far, 0 in speech, NaN while the speaker does not have the floor."""
    answered: NDArray[np.int64]
    """How many of the other's backchannels begin."""
    pauses: NDArray[np.intp]
    """(P, 4) of `pauses_of`, after the number of the speaker."""

    @property
    def floor(self) -> NDArray[np.bool_]:
        """Whether the speaker has the floor."""
        return ~np.isnan(self.pause_s)

    @property
    def after_pause(self) -> NDArray[np.bool_]:
        """Within ANSWER_S of the beginning of a pause of LEAST_PAUSE_S and more, while the speaker has the floor."""
        out = np.zeros(self.pause_s.shape, dtype=bool)
        for row, begin, _, held in self.pauses:
            if held >= LEAST_PAUSE_S * REACTION_RATE_HZ:
                out[row, begin : begin + _ANSWER] = True
        return out & self.floor


# The dialogue


def read_speech(folder: Path) -> tuple[FloatArray, NDArray[np.intp]]:
    """The speech of a folder's .flac and .wav files without its pauses: 16 kHz samples (n,), and where phrases end.

    Raises:
        ReactdiffError: there is no such file, one cannot be read, or no speech is heard in them.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS)
    if not files:
        raise MediaError("the folder holds no speech", where=str(folder), todo=f"it needs {' or '.join(SOUNDS)} files")
    phrases = [phrase for path in files for phrase in _phrases(path)]
    if not phrases:
        raise MediaError("no speech is heard in the files", where=str(folder), todo="give files of people who talk")
    breath = np.zeros(round(BREATH_S * RATE_HZ), np.float32)
    whole = np.concatenate([part for phrase in phrases for part in (phrase, breath)])
    return whole, np.cumsum([len(phrase) + len(breath) for phrase in phrases]) - len(breath)


def _phrases(path: Path) -> list[FloatArray]:
    """The stretches of speech between pauses of 0.2 s and more, as the voice's perception hears them."""
    chunks = list(MediaClip(path).sound())
    if not chunks:
        return []
    resampler = Resampler(chunks[0].rate_hz)
    resampler.push(np.concatenate([mono(chunk.samples) for chunk in chunks]))
    samples = resampler.take(resampler.reach())
    frames = int(len(samples) / RATE_HZ * REACTION_RATE_HZ)
    heard = voice_columns(_pcm(samples), RATE_HZ, frames)
    spans, (_, begins, ends) = [], stretches(heard["speaking"][None])
    for first, last in zip(begins, ends, strict=True):
        pause = heard["pause_s"][last] if last < frames else 0.0
        spans.append((first / REACTION_RATE_HZ - heard["utterance_s"][first], last / REACTION_RATE_HZ - pause))
    cuts = [(max(round(begin * RATE_HZ), 0), round(end * RATE_HZ)) for begin, end in spans]
    return [_faded(samples[begin:end]) for begin, end in cuts if end > begin]


def _pcm(samples: FloatArray) -> NDArray[np.int16]:
    clipped: NDArray[np.int16] = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)[:, None]
    return clipped


def _faded(samples: FloatArray) -> FloatArray:
    ramp = np.minimum(np.arange(1, len(samples) + 1) / (FADE_S * RATE_HZ), 1.0).astype(np.float32)
    return samples * ramp * ramp[::-1]


def make_dialogue(
    turns: Turns, speech: tuple[FloatArray, NDArray[np.intp]], *, face: bool = True, seed: int = 0,
    progress: OnProgress = lambda share: None,
) -> Dialogue:  # fmt: skip
    """What listeners to either participant perceive, and when these paused and were answered.

    Args:
        turns: who talks when.
        speech: of `read_speech`; every utterance of a turn is a random part of it that ends with a phrase.
        face: a neutral face that looks at the listener is seen all the time; else nothing is seen.
        seed: of the parts and of the room's noise.
        progress: receives the completed fraction.
    """
    frames = int(turns.seconds * REACTION_RATE_HZ)
    rest, every = np.zeros((frames, COEFFICIENT_COUNT), dtype=np.float32), np.ones(COEFFICIENT_COUNT, dtype=bool)
    speakers, so_far, answered, pauses = [], [], [], []
    for i, (person, other) in enumerate(zip(turns.people, turns.people[::-1], strict=True)):
        sound = _spoken(person.talk, turns.seconds, speech, np.random.default_rng([seed, 81, i]))
        seen = {"coefficients": rest, "observed": every} if face else {}
        speaker = speaker_of(frames, **seen, voice=voice_columns(_pcm(sound), RATE_HZ, frames))
        if face:
            speaker.gaze_observed[:], speaker.gaze[..., -1] = True, 1.0
            speaker.affect_observed[:], speaker.affect[:] = True, projected(rest[0], every.astype(np.float32))
        speakers.append(speaker)
        times = np.arange(frames) / REACTION_RATE_HZ
        talks, taken = person.talks(times), other.talks(times)
        so_far.append(pause_so_far(talks, taken))
        pauses += [(i, *pause) for pause in pauses_of(talks, so_far[-1])]
        at = np.minimum((other.responses[:, 0] * REACTION_RATE_HZ).astype(np.intp), frames - 1)
        answered.append(np.bincount(at, minlength=frames))
        progress((i + 1) / 2)
    table = np.array(pauses, dtype=np.intp).reshape(-1, 4)
    return Dialogue(joined(speakers), np.stack(so_far), np.stack(answered), table)


def _spoken(
    talk: Floats, seconds: float, speech: tuple[FloatArray, NDArray[np.intp]], rng: np.random.Generator
) -> FloatArray:
    """The sound (n,) of a microphone before one who talks in the spans `talk` (n, 2)."""
    whole, ends = speech
    sound = rng.standard_normal(int(seconds * RATE_HZ), dtype=np.float32) * np.float32(10 ** (NOISE_DBFS / 20))
    for begin, end in np.rint(talk * RATE_HZ).astype(np.intp):
        last = int(rng.choice(ends))
        part = np.take(whole, np.arange(last - (end - begin), last), mode="wrap")
        sound[begin:end] += _faded(part)[: len(sound) - begin]
    return sound


def pause_so_far(talks: NDArray[np.bool_], other: NDArray[np.bool_]) -> Floats:
    """(T,) seconds of the speaker's pause so far, 0 in speech, NaN without the floor.

    Args:
        talks: (T,) whether the speaker talks.
        other: (T,) whether the other takes or has a turn.
    """
    t = np.arange(len(talks))
    spoke = np.maximum.accumulate(np.where(talks, t, -1))
    taken = np.maximum.accumulate(np.where(other, t, -1))
    return np.where((spoke >= 0) & (taken < spoke) | talks & ~other, (t - spoke) / REACTION_RATE_HZ, np.nan)


def pauses_of(talks: NDArray[np.bool_], pause_s: Floats) -> list[tuple[int, int, int]]:
    """Every silence of the speaker between two utterances: its first frame, its frames, and for how many of them the
    speaker has the floor.

    Args:
        talks: (T,) whether the speaker talks.
        pause_s: (T,) of `pause_so_far`.
    """
    _, begins, ends = stretches(~talks[None])
    held = np.cumsum(np.r_[0, ~np.isnan(pause_s)])
    between = [(b, e) for b, e in zip(begins.tolist(), ends.tolist(), strict=True) if b > 0 and e < len(talks)]
    return [(b, e - b, int(held[e] - held[b])) for b, e in between]


# Figures


def evaluate_backchannels(
    dialogue: Dialogue, model: StreamListener | None, *, systems: Sequence[str], streams: int = 4,
    seed: int = 0, annotated: dict[str, Shapes] | None = None, progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """Figures of each of `systems`, and a plot of them.

    Args:
        dialogue: what is heard, and the people's backchannels.
        model: for the systems "model" and "shuffled".
        systems: "people", those of the dialogue; "shuffled", the model half the dialogue late; or names of listeners.
        streams: S, how often every system listens to each speaker.
        seed: of noise, shifts and intervals.
        annotated: people's nods by label, of `read_nods`; the listeners' are compared with them.
        progress: receives the completed fraction.

    Raises:
        ReactdiffError: there is no model for a system that needs one.
    """
    people = moments(dialogue, dialogue.answered, 1, seed)
    out: dict[str, Any] = {}
    shown: dict[str, Floats] = {}
    for i, name in enumerate(systems):
        if name == "people":
            out[name] = people
            continue
        source = "model" if name == "shuffled" else name
        if source not in shown:
            shown[source] = _pitch(
                dialogue, named(source, model), streams, seed,
                lambda share, i=i: progress((i + share) / len(systems)),  # type: ignore[misc]
            )  # fmt: skip
        pitch = shown[source]
        onsets = nods(pitch).onsets().reshape(streams, 2, -1).sum(0)
        if name == "shuffled":
            onsets = np.roll(onsets, onsets.shape[1] // 2, axis=1)
        out[name] = figures = moments(dialogue, onsets, streams, seed)
        figures["r_hazard"] = correlation(figures["hazard"], people["hazard"])
        figures["r_answers"] = correlation(figures["answers"], people["answers"], "excess")
        figures["r_answers_ifadv"] = correlation(figures["answers"], _IFADV, "excess")
        if annotated is not None and name != "shuffled":
            figures["nod_shapes"] = compared(shapes_of(pitch), annotated)
        progress((i + 1) / len(systems))
    about = {
        label: {"count": len(shapes["length_s"]), "quantiles": quantiles(shapes)}
        for label, shapes in (annotated or {}).items()
    }
    draw = partial(plot_backchannels, dict(out), about)
    return Study({**out, **({} if annotated is None else {"annotated_nods": about})}, {"backchannels.png": draw})


def _pitch(dialogue: Dialogue, listener: StreamListener, streams: int, seed: int, progress: OnProgress) -> Floats:
    """The head's pitch (2 S, T) of S listeners to each speaker, both speakers in turn."""
    seeds, found = 1000 * (seed + 1) + np.arange(2 * streams), []
    shows = listener.before(dialogue.speaker)
    for first in range(0, 2 * streams, BATCH):
        drawn = seeds[first : first + BATCH]
        rows = np.arange(len(drawn)) % 2
        found.append(shows(usual_conditions(listener, len(rows)), drawn, rows)[..., HEAD_PITCH])
        progress((first + len(rows)) / len(seeds))
    pitch: Floats = np.concatenate(found).astype(np.float64)
    return pitch


def correlation(some: Mapping[str, Any], other: Mapping[str, Any], key: str = "value") -> float:
    """Pearson's r of two figures over the bins that both know; NaN where either is the same in all."""
    a, b = (np.array([row[key] for row in of.values()], dtype=np.float64) for of in (some, other))
    known = np.isfinite(a) & np.isfinite(b)
    return pearson(a[known], b[known]) if known.sum() >= 3 else float("nan")


def moments(dialogue: Dialogue, onsets: NDArray[np.int64], streams: int, seed: int) -> dict[str, Any]:
    """When the responses of `streams` listeners begin, of how many of them begin in each frame (2, T).

    hazard: a second, by the speaker's pause so far; answers: a pause, within ANSWER_S of its beginning, by its whole
    length; after_pauses: the share of responses that begin within ANSWER_S of a pause of LEAST_PAUSE_S and more. Chance
    is that of the same responses, circularly shifted. Intervals are by bootstrap over minutes.
    """
    # The number of each frame's minute of each speaker (2, T); a short last one belongs to the one before.
    size = round(CELL_S * REACTION_RATE_HZ)
    count = max(onsets.shape[1] // size, 1)
    minute = np.minimum(np.arange(onsets.shape[1]) // size, count - 1)
    floor, cells = dialogue.floor, np.stack([minute, minute + count])
    weights = bootstrap.draws(seed, int(cells.max()) + 1)
    begun, moved = floor * onsets, floor * shifted(onsets, np.random.default_rng([seed, 82]))
    kind = np.where(floor, np.digitize(np.nan_to_num(dialogue.pause_s), np.array(PAUSE_S) + 1e-6), -1)
    hazard = {}
    for k, name in enumerate(BINS):
        seconds = _sums(kind == k, cells) / REACTION_RATE_HZ
        hazard[name] = _rate(_sums(begun * (kind == k), cells) / streams, seconds, weights, LEAST_EXPOSURE_S)
        hazard[name]["seconds"] = float(seconds.sum())
    minutes = float(floor.sum()) / REACTION_RATE_HZ / 60.0
    return {
        "per_minute": float(begun.sum()) / streams / max(minutes, 1e-9),
        "hazard": hazard,
        "answers": _answers(dialogue, begun / streams, moved / (SHIFTS * streams), cells, weights),
        "after_pauses": _after_pauses(dialogue, begun, moved, cells, weights),
    }


def shifted(onsets: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The sum of SHIFTS circular shifts of onsets (2, T), each of SHIFT_S and more."""
    frames = onsets.shape[1]
    least = min(round(SHIFT_S * REACTION_RATE_HZ), frames // 4)
    out = np.zeros_like(onsets)
    for by in rng.integers(least, frames - least, SHIFTS):
        out += np.roll(onsets, by, axis=1)
    return out


def _rate(events: Floats, exposure: Floats, weights: Floats, least: float) -> dict[str, float]:
    """Events over exposure, of cells (n,), and its interval; NaN with less exposure than `least`."""
    found = bootstrap.ratio(weights, events, exposure)
    enough = exposure.sum() >= least
    value, low, high = (found[name] if enough else float("nan") for name in ("ratio", "low", "high"))
    return {"value": value, "low": low, "high": high, "count": float(events.sum())}


def _answers(
    dialogue: Dialogue, begun: Floats, moved: Floats, cells: NDArray[np.intp], weights: Floats
) -> dict[str, dict[str, float]]:
    """Answers a pause by its length; one may begin after the speaker has gone on, but not once the other has a turn."""
    row, first, length, _ = dialogue.pauses[dialogue.pauses[:, 3] > 0].T
    last = np.minimum(first + _ANSWER, begun.shape[1])
    answers, chance = (
        so_far[row, last] - so_far[row, first]
        for of in (begun, moved)
        for so_far in (np.cumsum(np.pad(of, ((0, 0), (1, 0))), axis=1),)
    )
    kind = np.digitize(length / REACTION_RATE_HZ, np.array(LENGTHS_S[1:]) - 1e-6)
    out = {}
    for k, name in enumerate(LENGTH_BINS):
        at = cells[row[kind == k], first[kind == k]]
        pauses = np.bincount(at, minlength=weights.shape[1]).astype(np.float64)
        events = np.bincount(at, answers[kind == k], len(pauses)).astype(np.float64)
        out[name] = _rate(events, pauses, weights, LEAST_PAUSES)
        by_chance = float(chance[kind == k].mean()) if len(at) else float("nan")
        out[name] |= {"by_chance": by_chance, "excess": out[name]["value"] - by_chance, "pauses": float(len(at))}
    return out


def _after_pauses(
    dialogue: Dialogue, begun: NDArray[np.int64], moved: NDArray[np.int64], cells: NDArray[np.intp], weights: Floats
) -> dict[str, float]:
    after = dialogue.after_pause
    sums = [_sums(of * where, cells) for of in (begun, moved) for where in (after, np.ones_like(after))]
    hits, total, chance_hits, chance_total = ([of.sum(), *bootstrap.means(weights, of)] for of in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        share, chance = np.divide(hits, total), np.divide(chance_hits, chance_total)
    low, high = bootstrap.interval(share[1:] / chance[1:])
    ratio = float(share[0] / chance[0])
    return {"share": float(share[0]), "by_chance": float(chance[0]), "ratio": ratio, "low": low, "high": high}


def _sums(values: NDArray[Any], cells: NDArray[np.intp]) -> Floats:
    """Sums (n,) of values (2, T) over the cells."""
    found = np.bincount(cells.ravel(), weights=values.ravel().astype(np.float64), minlength=int(cells.max()) + 1)
    return np.asarray(found, dtype=np.float64)


# Shapes of nods beside people's


def read_nods(path: Path) -> dict[str, Shapes]:
    """Annotated nods by label, such as "feedback"; labels with fewer than LEAST_NODS are left out.

    Raises:
        DatasetError: the table cannot be read, lacks a measure, or holds what is no number or below 0.
    """
    found: dict[str, dict[str, Floats]] = {}
    with readable_text(path, "table of nods") as file:
        rows = csv.reader(file)
        for row in rows:
            name = _ROWS.get(row[0].strip()) if len(row) > _STATISTICS else None
            if name is None:
                continue
            line = f"line {rows.line_num} of the table of nods"
            with explained(ValueError, f"{line} is not numeric", where=path, error=DatasetError):
                values = np.array([float(cell) for cell in row[_STATISTICS:] if cell.strip()], dtype=np.float64)
            if not np.isfinite(values).all() or (values < 0).any():
                todo = "they are numbers from 0 on"
                raise DatasetError(f"{line} has a value that no nod has", where=str(path), todo=todo)
            found.setdefault(row[1].strip(), {})[name] = values
    if missing := [name for name in MEASURES if not found or any(name not in of for of in found.values())]:
        todo = f"it needs rows {', '.join(_ROWS)} for each label"
        raise DatasetError(f"the table of nods lacks {', '.join(missing)}", where=str(path), todo=todo)
    return {label: of for label, of in found.items() if len(of["length_s"]) >= LEAST_NODS}


def shapes_of(pitch: Values) -> Shapes:
    """Shapes of the nods in head pitch (N, T) in rad, down positive.

    peaks: turns from down to up that stand out by NOD_HALF_CYCLE_RAD; amplitude: largest half-cycle, rad; velocity:
    mean speed of the head within the nod, rad/s.
    """
    from scipy.signal import find_peaks

    found, smooth = nods(pitch), smoothed(pitch, 3)
    curves = [smooth[r, s:e] for r, s, e in zip(found.row, found.start, found.end, strict=True)]
    peaks = np.array([len(find_peaks(c, prominence=NOD_HALF_CYCLE_RAD)[0]) for c in curves], dtype=np.float64)
    speed = np.array([np.abs(np.diff(c)).mean() * REACTION_RATE_HZ for c in curves], dtype=np.float64)
    values = (found.length_s, peaks, peaks / np.maximum(found.length_s, 1e-9), found.size, speed)
    return dict(zip(MEASURES, values, strict=True))


def compared(shown: Shapes, annotated: Mapping[str, Shapes]) -> dict[str, Any]:
    """Quantiles of a listener's nods, and their distances from the annotated ones of each label.

    w1: Wasserstein-1 distance over the annotated deviation; ks: Kolmogorov and Smirnov's statistic, the largest
    difference of the two distribution functions. Of fewer than LEAST_NODS nods nothing but the count is given.
    """
    count = len(shown["length_s"])
    if count < LEAST_NODS:
        return {"count": count}
    distances = {
        label: {name: _distance(_scaled(shown, name), _scaled(real, name)) for name in MEASURES}
        for label, real in annotated.items()
    }
    return {"count": count, "quantiles": quantiles(shown), "distances": distances}


def quantiles(shapes: Shapes) -> dict[str, list[float]]:
    """QUANTILES of each of MEASURES."""
    return {name: [float(q) for q in np.quantile(_scaled(shapes, name), QUANTILES)] for name in MEASURES}


def _scaled(shapes: Shapes, name: str) -> Floats:
    values = shapes[name]
    return values / max(float(np.median(values)), 1e-12) if name in RELATIVE else values


def _distance(some: Floats, real: Floats) -> dict[str, float]:
    from scipy.stats import ks_2samp, wasserstein_distance

    spread = float(real.std())
    w1 = float(wasserstein_distance(some, real)) / spread if spread > 0 else float("nan")
    return {"w1": w1, "ks": float(ks_2samp(some, real, method="asymp").statistic)}
