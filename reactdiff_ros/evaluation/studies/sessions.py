"""`evaluate sessions`: does a listener stay the same through an hour of changing speakers who come and go?

Each session is one listener before a row of simulated speakers of a minute each, between whom no one is there for a
while. Every sixth of it has the same speakers, shuffled again, so that what differs is the listener. The last sixth is
compared with the second: whatever drifts shows as a ratio off 1. Where the head is held has no ratio, because its mean
is about 0: there it is the difference that shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, NAMES, REFLEXES, ROTATION, UPPER
from reactdiff_ros.evaluation.bounds import POSE_LIMIT, RATIO_BAND, judge_study
from reactdiff_ros.evaluation.listeners import MODEL, StreamListener, style_conditions
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.events import KINDS, smile_curve, smile_onsets
from reactdiff_ros.evaluation.metrics.robot import at_bound
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.streams import free_run, speaker_tokens
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray, OnProgress

Values = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

VISIT: Final = 1500
"""Frames of one speaker's visit."""
ABSENT_S: Final = (3.0, 20.0)
PARTS: Final = 6
"""A session has this many parts; the second is compared with the last."""
ROWS: Final = 5
"""Sessions of a group, which are run together: sessions of an hour then take a gigabyte."""
LEAST: Final = 1e-4
"""A figure below this in both parts has no ratio that says anything."""
FORGET_S: Final = 10.0
_FORGOTTEN: Final = "extreme history forgotten to .05 in 10 s"
_RESPONSE_FRAMES: Final = (8, 38)
_RISE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Session:
    """Speakers (R, T) one after the other, what can be known of them, and their true smiles."""

    speaker: SpeakerBatch
    truth: Stimulus
    smile: FloatArray


def make_session(seed: int, rows: int, minutes: float, bank: VoiceBank | None = None) -> Session:
    """Visits of a minute, each with an absence at its end, for `rows` sessions: the same speakers in each of PARTS, as
    far as there are so many visits, in another order.
    """
    count = max(round(minutes * 60 * 25 / VISIT), 1)
    people_of_a_part = count // PARTS or count
    rng = np.random.default_rng([seed, 81])
    visits: list[tuple[SpeakerBatch, Stimulus, FloatArray]] = []
    for visit in range(people_of_a_part):
        number = purpose_seed("evaluate", seed, 1000 + visit)
        people = make_speakers(number, rows, VISIT)
        left = VISIT - np.round(rng.uniform(*ABSENT_S, rows) * 25).astype(int)
        gone = np.arange(VISIT)[None] >= left[:, None]
        people.present &= ~gone
        people.speech &= ~gone
        people.burst &= ~gone
        batch = observe(number, people, bank)
        truth = stimulus_of(people, batch.camera, batch.microphone)
        visits.append((batch, truth, people.smile * people.present * batch.mesh))
    orders = [rng.permutation(people_of_a_part) for _ in range(-(-count // people_of_a_part))]
    speakers, truths, smiles = zip(*(visits[i] for i in np.concatenate(orders)[:count]), strict=True)
    return Session(_joined(speakers), _joined(truths), np.concatenate(smiles, axis=1))


def _joined(parts: Sequence[Any]) -> Any:
    names = [f.name for f in fields(parts[0])]
    return type(parts[0])(**{name: np.concatenate([getattr(p, name) for p in parts], axis=1) for name in names})


Arrays = Mapping[str, Values]
"""Of R sessions: "second NAME" and "last NAME" for each figure, (R,), and for "pose", (2, R, 3); "clamped"."""
_HALVES: Final = {"second": 1, "last": PARTS - 1}


def part(values: Values, index: int) -> Values:
    """One of the PARTS equal parts of (R, T, ...)."""
    length = values.shape[1] // PARTS
    return values[:, index * length : (index + 1) * length]


def statistics(streams: FloatArray) -> dict[str, Floats]:
    """Figures of each of R streams (R, T, 58), (R,) each: rates, shares of time, means and s.d. of groups."""
    out: dict[str, Floats] = {}
    for kind, find in KINDS.items():
        found = find(streams)
        out[f"rate of {kind}"] = found.per_minute()
        if kind in ("smiles", "brow_raises"):
            out[f"share of {kind}"] = found.share()
    for group in GROUPS:
        columns = streams[..., list(group.coefficients)].astype(np.float64)
        if group.name != "head":
            out[f"mean of {group.name}"] = columns.mean((1, 2))
        out[f"s.d. of {group.name}"] = np.sqrt(columns.var(1).mean(-1))
    return out


def pose_drift(second: Floats, last: Floats, seed: int) -> dict[str, dict[str, Any]]:
    """How far the mean of each angle of the head has moved between two parts: of each its mean and variance (2, R, 3).

    Means over the sessions, rad; "difference": of the last part from the second, over the s.d. within the second,
    with its 95 % bootstrap interval, sessions drawn together. Heads that drift apart widen it. "within": all of it
    lies within POSE_LIMIT.
    """
    weights = bootstrap.draws(seed, second.shape[1])
    out = {}
    for i, name in enumerate(NAMES[ROTATION]):
        before, after, variance = second[0, :, i], last[0, :, i], second[1, :, i]
        resampled = bootstrap.means(weights, after - before) / _deviation(bootstrap.means(weights, variance))
        low, high = bootstrap.interval(resampled)
        out[name] = {
            "second": float(before.mean()), "last": float(after.mean()),
            "difference": float((after - before).mean() / _deviation(variance.mean())), "low": low, "high": high,
            "within": low > -POSE_LIMIT and high < POSE_LIMIT,
        }  # fmt: skip
    return out


def _deviation(variance: Floats) -> Floats:
    """At least LEAST: a head that is held quite still has moved as soon as it is held elsewhere."""
    return np.maximum(np.sqrt(variance), LEAST)


def response_excess(speaker: Values, streams: FloatArray, seed: int) -> Floats:
    """(R,) share of the speaker's smile onsets that a rise of the listener's smile by .1 follows within 0.3 to 1.5 s,
    less the share at random times.
    """
    curve = smile_curve(streams)
    rng = np.random.default_rng([seed, 82])
    first, last = _RESPONSE_FRAMES
    out = np.zeros(len(speaker))
    for row, onsets in enumerate(smile_onsets(speaker)):
        usable = onsets[onsets < curve.shape[1] - last - 1]
        if not len(usable):
            continue
        elsewhere = rng.integers(0, curve.shape[1] - last - 1, 20 * len(usable))
        shares = []
        for times in (usable, elsewhere):
            after = curve[row, times[:, None] + np.arange(first, last)[None]].max(1)
            shares.append(float((after - curve[row, times] > _RISE).mean()))
        out[row] = shares[0] - shares[1]
    return out


def evaluate_sessions(
    listener: StreamListener, *, seed: int = 0, sessions: int = 20, minutes: float = 60.0,
    bank: VoiceBank | None = None, progress: OnProgress = lambda share: None,
    stored: Callable[[str, Callable[[], Arrays]], Arrays] = lambda name, measure: measure(),
) -> Study:  # fmt: skip
    """Second against last part of each session, clamps, and how an extreme history is forgotten.

    Args:
        listener: of whom. So many groups of ROWS sessions at a time as it has workers, each in a thread; figures do
            not depend on it.
        seed: of speakers and noise.
        sessions: how many.
        minutes: of each.
        bank: the speakers' voices.
        stored: returns the figures of a group of sessions by its name, measured where they are not known.
        progress: receives the completed fraction.
    """
    groups = [(first, min(ROWS, sessions - first)) for first in range(0, sessions, ROWS)]
    steps = iter(range(1, len(groups) + 1))

    def run(group: tuple[int, int]) -> Arrays:
        first, rows = group
        measure = partial(_group, listener, first, rows, minutes, seed, bank)
        found = stored(f"sessions {first} to {first + rows - 1}", measure)
        progress(next(steps) / (len(groups) + 1))
        return found

    with ThreadPoolExecutor(max(listener.workers, 1)) as pool:
        found = list(pool.map(run, groups))
    second, last = (
        {key.removeprefix(half): np.concatenate([g[key] for g in found], axis=-2 if key.endswith("pose") else 0)
         for key in found[0] if key.startswith(half)}
        for half in ("second ", "last ")
    )  # fmt: skip
    pose = pose_drift(second.pop("pose"), last.pop("pose"), seed)
    table, unknown = _table(second, last, seed)
    figures: dict[str, Any] = {
        "ratios": table, "not_judged": unknown, "pose": pose,
        "clamped": float(np.average([float(g["clamped"]) for g in found], weights=[rows for _, rows in groups])),
        "forgetting": forgetting(listener, seed) if listener.name == MODEL else None,
        "sessions": sessions, "minutes": minutes, "seed": seed,
    }  # fmt: skip
    verdicts = judge_study("sessions", figures)
    # Nothing is to be forgotten by who is no model.
    figures["within_bounds"] = {
        name: v.holds is True or (name == _FORGOTTEN and listener.name != MODEL) for name, v in verdicts.items()
    }
    progress(1.0)
    return Study(figures)


def _group(
    listener: StreamListener, first: int, rows: int, minutes: float, seed: int, bank: VoiceBank | None
) -> Arrays:
    """The `rows` sessions from `first` on."""
    session = make_session(seed + 7919 * (first + 1), rows, minutes, bank)

    def run(style: str) -> FloatArray:
        seeds = seed + 1 + first + np.arange(rows)
        return listener.run(session.speaker, style_conditions(style, rows), seeds, session.truth)

    natural = run("natural")
    out: dict[str, Values] = {"clamped": np.array(at_bound(natural, REFLEXES).any(-1).mean())}
    for half, index in _HALVES.items():
        shown = part(natural, index)
        out |= {f"{half} {name}": values for name, values in statistics(shown).items()}
        turned = shown[..., ROTATION].astype(np.float64)
        out[f"{half} pose"] = np.stack([turned.mean(1), turned.var(1)])
    del natural, shown, turned  # an hour of it is large, and so is the next
    responsive = run("responsive")
    for half, index in _HALVES.items():
        smile = part(session.smile, index)
        out[f"{half} response excess"] = response_excess(smile, part(responsive, index), seed)
    return out


def _table(
    second: Mapping[str, Values], last: Mapping[str, Values], seed: int
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]]]:
    """Ratios by name; and the means of both parts where there is no ratio, because one of them holds nothing."""
    table, unknown = {}, {}
    drawn = bootstrap.draws(seed, len(next(iter(second.values()))))
    for name, early in second.items():
        late = last[name]
        means = {"second": float(early.mean()), "last": float(late.mean())}
        ratio = bootstrap.ratio(drawn, late, early)
        if max(means.values()) < LEAST or not np.isfinite(list(ratio.values())).all():
            unknown[name] = means
            continue
        within = RATIO_BAND[0] <= ratio["low"] and ratio["high"] <= RATIO_BAND[1]
        table[name] = {**means, **ratio, "within": within}
    return table, unknown


def forgetting(listener: StreamListener, seed: int, streams: int = 128) -> dict[str, float]:
    """How much of an extreme history is left after 10 s: mean difference of streams that begin after 2 s of a face at
    half its upper bounds from streams that begin after a neutral one, over the difference at the beginning.
    """
    frames = round((FORGET_S + 2.0) * 25)
    speakers = observe(purpose_seed("evaluate", seed, 900), make_speakers(seed, 8, frames))
    tokens = speaker_tokens(listener.networks, speakers)
    before = np.zeros((2, streams, 50, COEFFICIENT_COUNT), dtype=np.float32)
    before[1] = 0.5 * UPPER
    conditions = style_conditions("natural", streams)
    runs = [
        free_run(
            listener.networks, tokens, conditions, speaker_of=np.arange(streams) % 8,
            seeds=seed + 5000 + np.arange(streams), how=listener.how, shown=shown, workers=listener.workers,
        )
        for shown in before
    ]  # fmt: skip
    difference = np.abs((runs[1] - runs[0]).mean(0)).mean(-1)
    start = float(np.abs(before[1, :, -1] - before[0, :, -1]).mean())
    tail = difference[round(FORGET_S * 25) :]
    return {"left": float(tail.mean()) / start, "after_1_s": float(difference[25]) / start}
