"""`evaluate controls`: what each control and each entry of a style does to free-running streams.

Everything is paired: the same held-out simulated speakers, the same errors of perception, the same noise of the
listener; only the one setting differs. Settings are those a user makes, at their effect on what they name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, ROTATION
from reactdiff_ros.evaluation.baselines import make_material
from reactdiff_ros.evaluation.listeners import Listens, ModelListens, repeated
from reactdiff_ros.evaluation.metrics.bootstrap import POINTS, Sweep
from reactdiff_ros.evaluation.metrics.coupling import cross_coupling
from reactdiff_ros.evaluation.metrics.events import (
    WINDOW_S,
    Paired,
    brow_raises,
    moving_average,
    nods,
    response_curve,
    smile_curve,
    smiles,
)
from reactdiff_ros.evaluation.studies.response import AT, FRAMES, find_trials
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.expression.motion import LOWER_FACE, UPPER_FACE
from reactdiff_ros.model.conditions import STYLE_COUNT, STYLE_NAMES
from reactdiff_ros.model.listener import HORIZON_FRAMES
from reactdiff_ros.model.plan.corrections import conditioning
from reactdiff_ros.model.plan.sampler import Conditions
from reactdiff_ros.model.streams import speaker_tokens
from reactdiff_ros.model.style import style_of
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.settings import RANGES
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import Insertion, make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.styles import EXPRESSION_CONTROLS, Style, load_styles
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, ListenerControl, Reaction

Faces = NDArray[np.floating[Any]]
TICK_HZ: Final = 50
HOP: Final = 4
"""Frames of a plan until the next one, as live."""
LISTENERS: Final = 8
"""Streams that are enough: the settings act on all alike."""
SETTLED_S: Final = 2.0
"""So long a new setting and the first plan have to come into force."""


def _size(of: Faces) -> float:
    return float(np.sqrt((of.astype(np.float64) ** 2).mean()))


def _head(shown: Faces) -> float:
    return float(np.degrees(np.sqrt(shown[:, ROTATION].astype(np.float64).var(0).sum())))


GAIN_MEASURES: Final[dict[str, tuple[str, Callable[[Faces], float]]]] = {
    "intensity": ("size of the smile", lambda shown: _size(smile_curve(shown[None]))),
    "upper_face": ("size of brows and lids", lambda shown: _size(shown[:, UPPER_FACE])),
    "lower_face": ("size of cheeks and mouth", lambda shown: _size(shown[:, LOWER_FACE])),
    "head": ("s.d. of the head, degrees", _head),
    "stillness": ("head at rest, s.d. taken away, degrees", _head),
}
"""What each control of the expression is measured by; stillness on a face that has no one to listen to."""


def evaluate_gains(streams: FloatArray, *, points: int = POINTS, workers: int = 1) -> dict[str, dict[str, Any]]:
    """Figures of a sweep of every control of the expression.

    Args:
        streams: (N, T, 58) what N listeners plan, at 25 Hz.
        points: values of each control, evenly over its range.
        workers: streams at a time, each in a thread; figures do not depend on it.
    """
    return {name: _sweep(name, streams, points, workers).figures() for name in EXPRESSION_CONTROLS}


def _sweep(name: str, streams: FloatArray, points: int, workers: int) -> Sweep:
    title, measure = GAIN_MEASURES[name]
    styles = load_styles()
    values = tuple(float(v) for v in np.linspace(*RANGES[name], points))

    def measured(job: tuple[float, int]) -> float:
        value, n = job
        given: dict[str, Any] = {name: value}
        return measure(shown(streams[n], n, ListenerControl(**given), styles, engaged=name != "stillness"))

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        found = np.array(list(pool.map(measured, product(values, range(len(streams))))))
    table = found.reshape(points, len(streams))
    return Sweep(title, values, table[0] - table if name == "stillness" else table)


def shown(
    stream: FloatArray, seed: int, control: ListenerControl, styles: Mapping[str, Style], *, engaged: bool = True
) -> Faces:
    """(n, 58) at TICK_HZ, what a face shows that is given `stream` (T, 58) plan after plan, from SETTLED_S on."""
    engine = ExpressionEngine(seed=seed, styles=styles)
    engine.control(control)
    faces = []
    for tick in range(len(stream) * TICK_HZ // round(REACTION_RATE_HZ)):
        now = tick * NS // TICK_HZ
        slot, between = divmod(tick * round(REACTION_RATE_HZ), TICK_HZ)
        if not between and slot % HOP == 0:
            engine.on_reaction(_plan(stream[slot : slot + HORIZON_FRAMES], now, engaged), now)
        faces.append(engine.tick(now).coefficients)
    return np.stack(faces)[round(SETTLED_S * TICK_HZ) :]


def _plan(coefficients: FloatArray, now: int, engaged: bool) -> Reaction:
    short = HORIZON_FRAMES - len(coefficients)
    return Reaction(
        start_ns=now, rate_hz=REACTION_RATE_HZ,
        coefficients=np.pad(coefficients, ((0, short), (0, 0)), mode="edge"), commit_frames=HOP, engaged=engaged,
        seed=0, policy="model", backend="", compute_s=0.0, picture_stamp_ns=None, sound_stamp_ns=None,
    )  # fmt: skip


Values = NDArray[np.floating[Any]]
STYLE_VALUES: Final = (-1.5, 0.0, 1.5)
TENTHS: Final = 10
"""Parts of the trials, each left out once for the interval of a lag."""
STYLE_TIMES: Final = 4
"""So many more speakers for the entries of a style: half a minute holds few brow raises or nods to tell a rate by."""
_POOL: Final = 400
_SIZE: Final = 0.8
"""Of the smiles that the delay is measured with."""


def smile_share(faces: FloatArray) -> Values:
    """Share of the time with a smile, (N,)."""
    return np.asarray(smiles(smile_curve(faces)).share())


def nods_per_minute(faces: FloatArray) -> Values:
    """Nods a minute, (N,)."""
    return np.asarray(nods(faces[..., HEAD_PITCH]).per_minute())


def brow_raises_per_minute(faces: FloatArray) -> Values:
    """Brow raises a minute, (N,)."""
    return np.asarray(brow_raises(faces).per_minute())


def head_speed(faces: FloatArray) -> Values:
    """Root mean square speed of the head's rotation, degrees a second, (N,)."""
    head = np.moveaxis(faces[..., ROTATION].astype(np.float64), -1, 1)
    speed = np.diff(moving_average(head.reshape(-1, head.shape[-1]), 3), axis=1) * REACTION_RATE_HZ
    return np.asarray(np.degrees(np.sqrt((speed.reshape(len(faces), 3, -1) ** 2).sum(1).mean(1))))


Measures: TypeAlias = tuple[tuple[str, Callable[[FloatArray], Values]], ...]
Measure: TypeAlias = Callable[[Conditions], list[Values]]

MEASURES: Final[dict[str, Measures]] = {
    "attitude": (("share of time with a smile", smile_share),),
    "smiling": (("share of time with a smile", smile_share),),
    "nodding": (("nods a minute", nods_per_minute),),
    "liveliness": (("speed of the head, degrees/s", head_speed), ("brow raises a minute", brow_raises_per_minute)),
}
"""What each control is measured by; responsiveness and delay by answers to inserted smiles."""


class Runner:
    """Runs a listener on the same speakers with the same noise under one setting after another."""

    def __init__(self, system: Listens, seed: int, items: int, frames: int, bank: VoiceBank | None) -> None:
        self._system = system
        self._material = make_material(seed, items, frames, bank, listeners=1)
        self._seeds = purpose_seed("evaluate", seed, 77) + np.arange(items)
        self._tokens = _tokens(system, self._material.perceived)

    @property
    def items(self) -> int:
        """Speakers."""
        return self._material.items

    def faces(self, told: Conditions) -> FloatArray:
        """Streams (N, T, 58) under these conditions of one listener."""
        m = self._material
        return _run(self._system, m.perceived, self._tokens, all_told(told, m.items), self._seeds, m.stimulus)

    def coupling(self, faces: FloatArray) -> Values:
        """Mean correlation of each listener's smile with its own speaker's 0.3 to 2 s before, (N,)."""
        speaker = self._material.speakers.smile
        return np.asarray(np.diag(cross_coupling(speaker, smile_curve(faces))))


class Trials:
    """Speakers with and without an inserted smile, for the lag of the answer."""

    def __init__(self, system: Listens, seed: int, trials: int, bank: VoiceBank | None) -> None:
        self._system = system
        self._parts: list[tuple[Any, list[tuple[SpeakerBatch, FloatArray | None, Stimulus]]]] = []
        for pool, rows in find_trials(seed, "smile", trials, bank).rows:
            both = []
            for insertion in (Insertion("smile", AT, _SIZE), None):
                speakers = make_speakers(pool, _POOL, FRAMES, insertion=insertion)
                batch = observe(pool, speakers, bank)
                truth = stimulus_of(speakers, batch.camera, batch.microphone)
                seen = batch.take(rows)
                both.append((seen, _tokens(system, seen), truth.take(rows)))
            self._parts.append((pool + 1 + np.arange(len(rows)), both))
        self._count = sum(len(seeds) for seeds, _ in self._parts)

    def answer(self, told: Conditions) -> Values:
        """How much more the listener smiles 0.3 to 1.5 s after the speaker's smile than without it, (N,)."""
        paired = self._paired(told)
        difference = smile_curve(paired.present) - smile_curve(paired.absent)
        low, high = (AT + round(s * REACTION_RATE_HZ) for s in WINDOW_S)
        return np.asarray(difference[:, low : high + 1].mean(1))

    def lag_s(self, told: Conditions) -> Values:
        """Lag of the mean answer to the smile, once for each tenth of the trials left out, (TENTHS,).

        Spread as the jackknife has it: what is left out moves the lag TENTHS - 1 times less than what another tenth
        of trials would have been.
        """
        paired = self._paired(told)
        rows = np.arange(self._count)
        lags = np.array([_lag_s(_rows(paired, rows[rows % TENTHS != k])) for k in range(TENTHS)])
        known = lags[np.isfinite(lags)]
        return lags if not len(known) else known.mean() + (TENTHS - 1) * (lags - known.mean())

    def _paired(self, told: Conditions) -> Paired:
        with_it: list[FloatArray] = []
        without: list[FloatArray] = []
        for seeds, both in self._parts:
            for (batch, tokens, truth), into in zip(both, (with_it, without), strict=True):
                everyone = all_told(told, len(seeds))
                into.append(_run(self._system, batch, tokens, everyone, seeds, truth))
        return Paired(np.concatenate(with_it), np.concatenate(without), np.full(self._count, AT))


def evaluate_controls(
    system: Listens,
    *,
    seed: int,
    items: int,
    seconds: float,
    points: int = POINTS,
    bank: VoiceBank | None = None,
    workers: int = 1,
    told: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Sweeps of all controls, those of the expression too, and for the model of all entries of a style.

    Args:
        system: the model, or the simulator's listener, which obeys controls but no style; several threads may run it.
        seed: of speakers and noise.
        items: speakers; trials of an answer are twice as many, speakers for a style STYLE_TIMES as many.
        seconds: of each speaker.
        points: values of each control, evenly over its range.
        bank: voices.
        workers: values of a control at a time, each in a thread; figures do not depend on it.
        told: the share that is done.

    Returns:
        {"controls": {name: [figures of each measure]}, "gains": {name: figures} of the controls of the expression,
        "style": {name: figures}, "style_items": speakers of these, "rise": whether every sweep rises, "not_rising":
        names of those that do not}.
    """
    frames = round(seconds * REACTION_RATE_HZ)
    entries = STYLE_NAMES if isinstance(system, ModelListens) else ()
    style_items = STYLE_TIMES * items if entries else 0
    work = points * (len(MEASURES) + 2) * items + len(STYLE_VALUES) * len(entries) * style_items
    sweeper = _Sweeper(workers, lambda done: told(done / work))
    runner = Runner(system, seed, items, frames, bank)
    gains = evaluate_gains(runner.faces(conditioning(Style()))[:LISTENERS], points=points, workers=workers)
    controls = _sweep_controls(sweeper, runner, Trials(system, seed, 2 * items, bank), points)
    figures = {name: [s.figures() for s in sweeps] for name, sweeps in controls.items()}
    style: dict[str, dict[str, Any]] = {}
    if entries:
        runner = Runner(system, seed, style_items, frames, bank)
        style = {name: _sweep_entry(sweeper, runner, entry).figures() for entry, name in enumerate(entries)}
    wrong = [name for name, parts in figures.items() if not all(part["rises"] for part in parts)]
    wrong += [name for name, part in {**gains, **style}.items() if not part["rises"]]
    found = {"controls": figures, "gains": gains, "style": style, "style_items": style_items}
    return {**found, "not_rising": wrong, "rise": not wrong}


class _Sweeper:
    """Measures settings, several at a time, and tells how many speakers have been listened to."""

    def __init__(self, workers: int, told: Callable[[int], None]) -> None:
        self._workers = max(workers, 1)
        self._told = told
        self._done = 0

    def measured(self, measure: Measure, settings: Sequence[Conditions], items: int) -> list[list[Values]]:
        """What is measured at each setting, each with so many speakers."""
        rows = []
        with ThreadPoolExecutor(self._workers) as pool:
            for row in pool.map(measure, settings):
                rows.append(row)
                self._done += items
                self._told(self._done)
        return rows

    def control(self, name: str, titles: Sequence[str], measure: Measure, points: int, items: int) -> list[Sweep]:
        """A control evenly over its range: a sweep for each of what `measure` gives."""
        values = tuple(float(v) for v in np.linspace(*RANGES[name], points))
        rows = self.measured(measure, [setting(name, value) for value in values], items)
        return [Sweep(title, values, np.stack([row[i] for row in rows])) for i, title in enumerate(titles)]


def _sweep_controls(sweeper: _Sweeper, runner: Runner, trials: Trials, points: int) -> dict[str, list[Sweep]]:
    def of_faces(measures: Measures) -> Measure:
        def measure(told: Conditions) -> list[Values]:
            faces = runner.faces(told)
            return [of(faces) for _, of in measures]

        return measure

    swept = {
        name: sweeper.control(name, [title for title, _ in measures], of_faces(measures), points, runner.items)
        for name, measures in MEASURES.items()
    }

    def answers(told: Conditions) -> list[Values]:
        return [trials.answer(told), runner.coupling(runner.faces(told))]

    titles = ("answer to a smile (its mouthSmile)", "coupling of smiles")
    swept["responsiveness"] = sweeper.control("responsiveness", titles, answers, points, runner.items)
    # The delay is measured where there are answers to measure.
    title = "lag of the answer to a smile, s"
    swept["delay_s"] = sweeper.control("delay_s", [title], lambda told: [trials.lag_s(told)], points, runner.items)
    return swept


def _sweep_entry(sweeper: _Sweeper, runner: Runner, entry: int) -> Sweep:
    def statistic(told: Conditions) -> list[Values]:
        found, given = style_of(runner.faces(told))
        return [np.where(given[:, entry] > 0, found[:, entry], np.nan)]

    rows = sweeper.measured(statistic, [style_setting(entry, value) for value in STYLE_VALUES], runner.items)
    return Sweep("the same statistic of the stream", STYLE_VALUES, np.stack([row[0] for row in rows]))


def setting(name: str, value: float) -> Conditions:
    """One listener of the default style with one control changed; the delay is told to a responsive one."""
    base = Style(responsiveness=1.0, attitude=1.0) if name == "delay_s" else Style()
    return conditioning(replace(base, **{name: value}))  # type: ignore[arg-type]


def style_setting(entry: int, value: float) -> Conditions:
    """One listener of the default style with one entry of a reference given."""
    reference = tuple(value if i == entry else None for i in range(STYLE_COUNT))
    return conditioning(replace(Style(), reference=reference))


def all_told(told: Conditions, count: int) -> Conditions:
    """`count` listeners that are told what one is."""
    return repeated(told.controls, told.controls_given, told.style, told.style_given, count)


def _tokens(system: Listens, speaker: SpeakerBatch) -> FloatArray | None:
    return speaker_tokens(system.networks, speaker) if isinstance(system, ModelListens) else None


def _run(
    system: Listens, speaker: SpeakerBatch, tokens: FloatArray | None, told: Conditions, seeds: Any, truth: Stimulus
) -> FloatArray:
    if isinstance(system, ModelListens) and tokens is not None:
        return system.of_tokens(tokens, told, seeds)
    return system.run(speaker, told, seeds, truth)


def _rows(paired: Paired, rows: NDArray[np.intp]) -> Paired:
    return Paired(paired.present[rows], paired.absent[rows], np.asarray(paired.at)[rows])


def _lag_s(paired: Paired) -> float:
    """When the mean difference that the event makes reaches half of its largest value, s; NaN if there is none."""
    curves, time_s = response_curve(paired, before=0, after=FRAMES - AT)
    difference = np.asarray(curves[0] - curves[1])
    top = float(difference.max())
    return float(time_s[np.argmax(difference >= top / 2)]) if top > 0.01 else float("nan")
