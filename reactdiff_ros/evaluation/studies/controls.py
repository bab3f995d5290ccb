"""`bench response` and `evaluate controls`: what an event and what a setting do to free-running streams.

Everything is paired: the same held-out simulated speakers, the same errors of perception, the same noise of the
listener; only the event or the one setting differs. Settings are those a user makes. Simulated listeners go through
the trials of cues as well: what of nodding to a cue can be seen by this measure at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import product
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, ROTATION
from reactdiff_ros.evaluation.bounds import judge_study
from reactdiff_ros.evaluation.listeners import MODEL, Shows, StreamListener, of_one
from reactdiff_ros.evaluation.metrics import events
from reactdiff_ros.evaluation.metrics.bootstrap import POINTS, mean_and_half, swept
from reactdiff_ros.evaluation.metrics.coupling import own_couplings
from reactdiff_ros.evaluation.metrics.events import KINDS
from reactdiff_ros.evaluation.plots import plot_controls, plot_responses
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.evaluation.studies.simulator import make_material
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.expression.motion import LOWER_FACE, UPPER_FACE
from reactdiff_ros.model.diffusion.conditions import STYLE_COUNT, STYLE_NAMES
from reactdiff_ros.model.diffusion.sampler import Conditions
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, featurize
from reactdiff_ros.model.plan.corrections import conditioning
from reactdiff_ros.model.plan.level import HORIZON_FRAMES
from reactdiff_ros.model.streams import speaker_tokens
from reactdiff_ros.model.style import measured_style, smoothed
from reactdiff_ros.settings import RANGES
from reactdiff_ros.simulator.emotions import HESITATION_S
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import PLACEBOS, Insertion, InsertionKind, make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.styles import EXPRESSION_CONTROLS, Style, load_styles
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, ListenerControl, OnProgress, Reaction

Values = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

AT: Final = 125
"""The event's frame: after 5 s of listening."""
FALTERS_AT: Final = AT - round(HESITATION_S * REACTION_RATE_HZ)
"""When voice and gaze falter, so that an ambivalent smile begins at AT."""
FRAMES: Final = AT + 45
"""A trial ends 1.8 s after the event began."""
SIZES: Final = (0.3, 0.5, 0.7, 0.9)
SIZE: Final = 0.7
"""Of the smile that the settings are compared with."""
SETTINGS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "natural": ("natural", {}),
    "responsive_positive": ("responsive", {"attitude": 1.0}),
    "negative": ("natural", {"attitude": -1.0}),
}
"""Named style of each setting and what of it is changed."""
ANSWERING: Final = ("natural", "responsive_positive")
"""Settings of listeners who answer cues, and smiles in speech."""
REFERENCES: Final = ("simulator", "policy")
"""Simulated listeners who know the speaker, and who know what perception delivers."""
POOL: Final = 400
_MOST_POOLS: Final = 20
SMILE_S: Final = (0.3, 1.5)
"""When a smile is answered, after it began."""
SMILE_MORE: Final = 0.1
NOD_S: Final = (0.2, 1.5)
NOD_MORE_RAD: Final = 0.035
"""A tenth of the 20 degrees that a listener's nods and shifts of the head span."""
CONCERN_MORE: Final = 0.2
LASTING: Final = 3
"""Frames for which a response holds."""


@dataclass(frozen=True, slots=True)
class Paired:
    """N trials: streams (N, FRAMES, 58) with and without the event, which begins at frame AT."""

    present: Values
    absent: Values

    def smiles(self) -> Values:
        """(2, N, FRAMES) with and without the event."""
        return np.stack([events.smile_curve(self.present), events.smile_curve(self.absent)])

    def smiles_more(self) -> Values:
        """(N, t) how much more the listener smiles with the event, from frame to frame of SMILE_S."""
        present, absent = self.smiles()
        return np.asarray((present - absent)[:, _after(SMILE_S)])

    def smile_responses(self) -> dict[str, float]:
        """`responses` of smiles."""
        return responses(self.smiles_more(), SMILE_MORE)

    def nod_responses(self) -> dict[str, float]:
        """`responses` of dips of the head. Sway that differs by chance goes up as often as down; a nod goes down."""
        present, absent = (stream[:, _after(NOD_S), HEAD_PITCH] for stream in (self.present, self.absent))
        return responses(present - absent, NOD_MORE_RAD)

    def concern_responses(self) -> dict[str, float]:
        """`responses` of raised inner brows and a tilted head, in the window of smiles."""
        present, absent = (events.concern_curve(stream[:, _after(SMILE_S)]) for stream in (self.present, self.absent))
        return responses(present - absent, CONCERN_MORE)

    def mean_smiles(self) -> tuple[Values, Values]:
        """Mean smile (2, T) with and without the event from a second before it on, and the time axis in s."""
        first = AT - round(REACTION_RATE_HZ)
        return self.smiles()[..., first:].mean(1), np.arange(first - AT, FRAMES - AT) / REACTION_RATE_HZ


def _after(window_s: tuple[float, float]) -> slice:
    """The frames of a window after the event."""
    low, high = (AT + round(s * REACTION_RATE_HZ) for s in window_s)
    return slice(low, high + 1)


def responses(more: Values, threshold: float) -> dict[str, float]:
    """What a difference (N, t) that the event makes says of N trials.

    `rate`: the share in which it is above `threshold` for LASTING frames in a row; `excess`: the rate less the share in
    which it is as far below, with its 95 % interval (normal, from the trials' spread); `mean`: the mean difference.
    Rates depend on what with and without the event have in common: a small change in many trials counts more than a
    large one in few. The mean does not.
    """
    above, below = (
        np.lib.stride_tricks.sliding_window_view(on, LASTING, axis=1).all(-1).any(-1)
        for on in (more > threshold, more < -threshold)
    )
    excess, half = mean_and_half(above.astype(np.float64) - below)
    interval = {"excess": excess, "excess_low": excess - half, "excess_high": excess + half}
    return {"rate": float(above.mean()), **interval, "mean": float(more.mean()), "trials": len(more)}


@dataclass(slots=True, eq=False)
class Trials:
    """Worlds in which an event takes effect, in view and in hearing: rows of pools of worlds."""

    rows: list[tuple[int, Ints]]
    """(seed of the pool, rows)."""
    bank: VoiceBank | None = None
    _observed: dict[tuple[int, Insertion | None], tuple[SpeakerBatch, Stimulus]] = field(default_factory=dict)
    _before: dict[tuple[StreamListener, int, Insertion | None], Shows] = field(default_factory=dict)

    def observed(self, pool: int, rows: Ints, insertion: Insertion | None) -> tuple[SpeakerBatch, Stimulus]:
        """What perception delivers of the speakers of a pool, and what can be known of them."""
        if (pool, insertion) not in self._observed:
            speakers = make_speakers(pool, POOL, FRAMES, insertion=insertion)
            batch = observe(pool, speakers, self.bank)
            truth = stimulus_of(speakers, batch.camera, batch.microphone)
            self._observed[pool, insertion] = batch.take(rows), truth.take(rows)
        return self._observed[pool, insertion]

    def before(self, system: StreamListener, insertion: Insertion | None) -> list[Shows]:
        """What a listener shows to the speakers of every pool."""
        for pool, rows in self.rows:
            if (system, pool, insertion) not in self._before:
                self._before[system, pool, insertion] = system.before(*self.observed(pool, rows, insertion))
        return [self._before[system, pool, insertion] for pool, _ in self.rows]

    def streams(self, system: StreamListener, one: Conditions, insertion: Insertion | None) -> FloatArray:
        """What listeners with the conditions of one show, (N, FRAMES, 58)."""
        pools = zip(self.before(system, insertion), self.rows, strict=True)
        return np.concatenate(
            [shows(of_one(one, len(rows)), pool + 1 + np.arange(len(rows))) for shows, (pool, rows) in pools]
        )

    def paired(self, system: StreamListener, one: Conditions, insertion: Insertion) -> Paired:
        """Streams with and without the event, sharing speaker, perception's errors and the listener's noise."""
        return Paired(self.streams(system, one, insertion), self.streams(system, one, None))


def find_trials(seed: int, kind: InsertionKind, wanted: int, bank: VoiceBank | None = None) -> Trials:
    """`wanted` trials (fewer, if events of that kind are very rare) of worlds that no training has seen."""
    found: list[tuple[int, Ints]] = []
    missing = wanted
    around = slice(AT - 25, AT + 38)
    for number in range(_MOST_POOLS):
        pool = purpose_seed("respond", seed, number)
        at = FALTERS_AT if kind == "ambivalent" else AT
        speakers = make_speakers(pool, POOL, FRAMES, insertion=Insertion(kind, at, SIZE))
        batch = observe(pool, speakers, bank)
        sensed = batch.mesh[:, around].mean(1) > 0.9
        if kind == "cue":
            sensed &= batch.microphone[:, around].all(1)
        rows = np.flatnonzero(speakers.took & sensed)[:missing]
        found.append((pool, rows))
        missing -= len(rows)
        if not missing:
            break
    return Trials([(pool, rows) for pool, rows in found if len(rows)], bank)


def bench_response(
    system: StreamListener, *, seed: int, trials: int, bank: VoiceBank | None = None,
    progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """The figures of `reactdiff bench response`; see the command's help for what they mean."""
    smile_trials, cue_trials = find_trials(seed, "smile", trials, bank), find_trials(seed, "cue", trials, bank)
    spoken_trials, faltering_trials = (find_trials(seed, kind, trials, bank) for kind in ("flat_smile", "ambivalent"))
    # Streams to make: smiles, placebos, both without the event, of the simulated too; for three listeners, a cue and
    # none, a smile in speech with a bright voice, with a flat one and none, and likewise sincere and ambivalent smiles.
    steps = len(SIZES) + 2 + len(PLACEBOS) + 3
    steps += (1 + len(SIZES)) * len(REFERENCES) + 8 * len(ANSWERING) * (1 + len(REFERENCES))
    done = 0

    def streams(of: Trials, setting: str, insertion: Insertion | None, listener: StreamListener) -> FloatArray:
        nonlocal done
        style, changes = SETTINGS[setting]
        found = of.streams(listener, conditioning(replace(load_styles()[style], **changes)), insertion)
        done += 1
        progress(done / steps)
        return found

    @cache
    def absent(of: Trials, setting: str, listener: StreamListener) -> FloatArray:
        return streams(of, setting, None, listener)

    def paired(of: Trials, setting: str, insertion: Insertion, listener: StreamListener = system) -> Paired:
        return Paired(streams(of, setting, insertion, listener), absent(of, setting, listener))

    def nods_to_cues(listener: StreamListener) -> dict[str, Any]:
        """Responses in the trials of cues, by setting."""
        cue = Insertion("cue", AT)
        return {s: paired(cue_trials, s, cue, listener).nod_responses() for s in ANSWERING}

    def smiles_in_speech(listener: StreamListener) -> dict[str, Any]:
        """Responses to a smile with a bright and with a flat voice, and how much less the second is, by setting."""
        out: dict[str, Any] = {}
        for s in ANSWERING:
            bright = paired(spoken_trials, s, Insertion("smile", AT, SIZE), listener)
            flat = paired(spoken_trials, s, Insertion("flat_smile", AT, SIZE), listener)
            less, half = mean_and_half((bright.smiles_more() - flat.smiles_more()).mean(1).astype(np.float64))
            out[s] = {"bright": bright.smile_responses(), "flat": flat.smile_responses()}
            out[s] |= {"less": less, "less_low": less - half, "less_high": less + half}
        return out

    def ambivalent_smiles(listener: StreamListener) -> dict[str, Any]:
        """Responses to a sincere smile and to one after a faltering voice and averted gaze, by setting."""
        out: dict[str, Any] = {}
        for s in ANSWERING:
            sincere = paired(faltering_trials, s, Insertion("smile", AT, SIZE), listener)
            ambivalent = paired(faltering_trials, s, Insertion("ambivalent", FALTERS_AT, SIZE), listener)
            out[s] = {"sincere": sincere.smile_responses(), "ambivalent": ambivalent.smile_responses()}
            out[s] |= {"concern": ambivalent.concern_responses(), "concern_if_sincere": sincere.concern_responses()}
            answered, all_ = out[s]["ambivalent"]["excess"], out[s]["sincere"]["excess"]
            out[s]["over_sincere"] = answered / all_ if all_ > 0 else None
        return out

    def natural(listener: StreamListener) -> dict[float, Paired]:
        """The trials of smiles under the default style, by size."""
        return {size: paired(smile_trials, "natural", Insertion("smile", AT, size), listener) for size in SIZES}

    def smiles_by_size(pairs: Mapping[float, Paired]) -> dict[str, dict[str, float]]:
        return {f"{size:g}": pair.smile_responses() for size, pair in pairs.items()}

    own = natural(system)
    by_size, curves = smiles_by_size(own), {"natural": own[SIZE].mean_smiles()}
    figures: dict[str, Any] = {"natural": {**by_size[f"{SIZE:g}"], "by_size": by_size}}
    for setting in ("responsive_positive", "negative"):
        pair = paired(smile_trials, setting, Insertion("smile", AT, SIZE))
        figures[setting], curves[setting] = pair.smile_responses(), pair.mean_smiles()
    placebos = {kind: paired(smile_trials, "natural", Insertion(kind, AT)) for kind in PLACEBOS}
    smiled = {kind: pair.smile_responses()["rate"] for kind, pair in placebos.items()}
    figures |= {
        "placebo": {
            "rate": float(np.mean(list(smiled.values()))), "by_kind": smiled,
            "concern_excess": float(np.mean([pair.concern_responses()["excess"] for pair in placebos.values()])),
            "nod_excess_by_kind": {kind: pair.nod_responses()["excess"] for kind, pair in placebos.items()},
        },
        "smiles_of_simulated": {name: smiles_by_size(natural(StreamListener(name))) for name in REFERENCES},
        "nods": nods_to_cues(system),
        "nods_of_simulated": {name: nods_to_cues(StreamListener(name)) for name in REFERENCES},
        "smiles_in_speech": smiles_in_speech(system),
        "smiles_in_speech_of_simulated": {name: smiles_in_speech(StreamListener(name)) for name in REFERENCES},
        "ambivalent_smiles": ambivalent_smiles(system),
        "ambivalent_smiles_of_simulated": {name: ambivalent_smiles(StreamListener(name)) for name in REFERENCES},
        "excess_rises_with_size": rises([by_size[f"{size:g}"]["excess"] for size in SIZES]),
        "wiring": wiring(system, smile_trials) if system.name == MODEL else None,
    }  # fmt: skip
    verdicts = judge_study("response", figures)
    figures |= {"within_bounds": {name: v.holds is True for name, v in verdicts.items()}, "seed": seed}
    progress(1.0)
    return Study(figures, {"responses.png": partial(plot_responses, curves)})


def wiring(model: StreamListener, trials: Trials) -> dict[str, Any]:
    """Frames from the first change in what perception delivers to the first change in what the network receives."""
    pool, rows = trials.rows[0]
    seen, known = [], []
    for insertion in (None, Insertion("smile", AT, SIZE)):
        batch = trials.observed(pool, rows, insertion)[0].take(np.arange(min(len(rows), 20)))
        seen.append(featurize(batch)[0])
        known.append(speaker_tokens(model.networks, batch))
    first_seen, first_known = first_difference(*seen), first_difference(*known)
    changed = first_seen < FRAMES
    late = (first_known - first_seen)[changed]
    return {"trials": int(changed.sum()), "frames_late_most": int(late.max()) if len(late) else None}


def first_difference(a: Values, b: Values) -> Ints:
    """(N,) first frame in which two arrays (N, T, ...) differ at all; T where they never do."""
    differs = (a != b).reshape(a.shape[0], a.shape[1], -1).any(-1)
    return np.where(differs.any(1), differs.argmax(1), a.shape[1])


def rises(values: list[float]) -> bool:
    """Ends above where it began, and falls by no more than .02 in between."""
    return bool(np.all(np.diff(values) > -0.02) and values[-1] > values[0])


TICK_HZ: Final = 50
HOP: Final = 4
"""Frames of a plan until the next one, as live."""
LISTENERS: Final = 8
"""Streams that are enough: the settings act on all alike."""
SETTLED_S: Final = 2.0
"""A new setting and the first plan come into force within this time."""


def _size(of: Values) -> float:
    return float(np.sqrt((of.astype(np.float64) ** 2).mean()))


def _head(shown: Values) -> float:
    return float(np.degrees(np.sqrt(shown[:, ROTATION].astype(np.float64).var(0).sum())))


GAIN_MEASURES: Final[dict[str, tuple[str, Callable[[Values], float]]]] = {
    "intensity": ("size of the smile", lambda shown: _size(events.smile_curve(shown[None]))),
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
    styles, out = load_styles(), {}
    for name in EXPRESSION_CONTROLS:
        title, measure = GAIN_MEASURES[name]

        def measured(job: tuple[float, int], name: str = name, measure: Callable[[Values], float] = measure) -> float:
            given: dict[str, Any] = {name: job[0]}
            engaged = name != "stillness"
            return measure(shown(streams[job[1]], job[1], ListenerControl(**given), styles, engaged=engaged))

        values = values_of(name, points)
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            found = np.array(list(pool.map(measured, product(values, range(len(streams))))))
        table = found.reshape(points, len(streams))
        out[name] = swept(title, values, table[0] - table if name == "stillness" else table)
    return out


def values_of(name: str, points: int) -> tuple[float, ...]:
    """Values of a control, evenly over its range."""
    return tuple(float(v) for v in np.linspace(*RANGES[name], points))


def shown(
    stream: FloatArray, seed: int, control: ListenerControl, styles: Mapping[str, Style], *, engaged: bool = True
) -> Values:
    """(n, 58) at TICK_HZ, what a face shows that is given `stream` (T, 58) plan after plan, from SETTLED_S on."""
    engine = ExpressionEngine(seed=seed, styles=styles)
    engine.control(control)
    faces = []
    for tick in range(len(stream) * TICK_HZ // round(REACTION_RATE_HZ)):
        now = tick * NS // TICK_HZ
        slot, between = divmod(tick * round(REACTION_RATE_HZ), TICK_HZ)
        if not between and slot % HOP == 0:
            plan = stream[slot : slot + HORIZON_FRAMES]
            plan = np.pad(plan, ((0, HORIZON_FRAMES - len(plan)), (0, 0)), mode="edge")
            engine.on_reaction(Reaction(
                start_ns=now, rate_hz=REACTION_RATE_HZ, coefficients=plan, commit_frames=HOP, engaged=engaged, seed=0,
                policy="model", backend="", compute_s=0.0, picture_stamp_ns=None, sound_stamp_ns=None,
            ), now)  # fmt: skip
        faces.append(engine.tick(now).coefficients)
    return np.stack(faces)[round(SETTLED_S * TICK_HZ) :]


STYLE_VALUES: Final = (-1.5, 0.0, 1.5)
TENTHS: Final = 10
"""Parts of the trials, each left out once for the interval of a lag."""
STYLE_TIMES: Final = 4
"""So many more speakers for the entries of a style: half a minute holds few brow raises or nods to measure a rate."""
SMILE: Final = Insertion("smile", AT, 0.8)
"""The smile that the delay is measured with."""


def head_speed(faces: FloatArray) -> Values:
    """Root mean square speed of the head's rotation, degrees a second, (N,)."""
    head = np.moveaxis(faces[..., ROTATION].astype(np.float64), -1, 1)
    speed = np.diff(smoothed(head.reshape(-1, head.shape[-1]), 3), axis=1) * REACTION_RATE_HZ
    return np.asarray(np.degrees(np.sqrt((speed.reshape(len(faces), 3, -1) ** 2).sum(1).mean(1))))


Measures: TypeAlias = tuple[tuple[str, Callable[[FloatArray], Values]], ...]

_SMILING: Final = ("share of time with a smile", lambda faces: KINDS["smiles"](faces).share())
MEASURES: Final[dict[str, Measures]] = {
    "attitude": (_SMILING,),
    "smiling": (_SMILING,),
    "nodding": (("nods a minute", lambda faces: KINDS["nods"](faces).per_minute()),),
    "liveliness": (
        ("speed of the head, degrees/s", head_speed),
        ("brow raises a minute", lambda faces: KINDS["brow_raises"](faces).per_minute()),
    ),
}
"""What each control is measured by; responsiveness and delay by answers to inserted smiles."""


class Runner:
    """Runs a listener on the same speakers with the same noise under one setting after another."""

    def __init__(self, system: StreamListener, seed: int, items: int, frames: int, bank: VoiceBank | None) -> None:
        self._material = make_material(seed, items, frames, bank, listeners=1)
        self._seeds = purpose_seed("evaluate", seed, 77) + np.arange(items)
        self._shows = system.before(self._material.perceived, self._material.stimulus)

    def faces(self, one: Conditions) -> FloatArray:
        """Streams (N, T, 58) under these conditions of one listener."""
        return self._shows(of_one(one, len(self._seeds)), self._seeds)

    def coupling(self, faces: FloatArray) -> Values:
        """Mean correlation of each listener's smile with its own speaker's 0.3 to 2 s before, (N,)."""
        return own_couplings(self._material.speakers.smile, events.smile_curve(faces))


def lag_s(paired: Paired) -> Values:
    """Lag of the mean answer to the smile, once for each tenth of the trials left out, (TENTHS,); NaN without answer.

    The lag is when the mean difference that the event makes reaches half of its largest value. Spread as the jackknife
    has it: what is left out moves the lag TENTHS - 1 times less than what another tenth of trials would have been.
    """
    smiles, lags = paired.smiles()[..., AT:], np.full(TENTHS, np.nan)
    for k in range(TENTHS):
        present, absent = smiles[:, np.arange(smiles.shape[1]) % TENTHS != k].mean(1)
        if (difference := present - absent).max() > 0.01:
            lags[k] = np.argmax(difference >= difference.max() / 2) / REACTION_RATE_HZ
    known = lags[np.isfinite(lags)]
    return lags if not len(known) else known.mean() + (TENTHS - 1) * (lags - known.mean())


def evaluate_controls(
    system: StreamListener, *, seed: int, items: int, seconds: float, points: int = POINTS,
    bank: VoiceBank | None = None, progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """Sweeps of all controls, those of the expression too, and for the model of all entries of a style.

    Args:
        system: the model, or the simulator's listener, which obeys controls but no style. So many values of a control
            at a time as it has workers, each in a thread; figures do not depend on it.
        seed: of speakers and noise.
        items: speakers; trials of an answer are twice as many, speakers for a style STYLE_TIMES as many.
        seconds: of each speaker.
        points: values of each control, evenly over its range.
        bank: voices.
        progress: receives the completed fraction.

    Returns:
        {"controls": {name: [figures of each measure]}, "gains": {name: figures} of the controls of the expression,
        "style": {name: figures}, "style_items": speakers of these, "rise": whether every sweep rises, "not_rising":
        names of those that do not}; and a plot of them.
    """
    frames = round(seconds * REACTION_RATE_HZ)
    entries = STYLE_NAMES if system.name == MODEL else ()
    style_items = STYLE_TIMES * items if entries else 0
    work = points * (len(MEASURES) + 2) * items + len(STYLE_VALUES) * len(entries) * style_items
    done = 0

    def sweeps(
        titles: Sequence[str], values: Sequence[float], settings: Sequence[Conditions], count: int,
        measure: Callable[[Conditions], list[Values]],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Figures of what `measure` gives under each setting, on `count` speakers."""
        nonlocal done
        rows = []
        with ThreadPoolExecutor(max(system.workers, 1)) as pool:
            for row in pool.map(measure, settings):
                rows.append(row)
                done += count
                progress(done / work)
        return [swept(title, values, np.stack([row[i] for row in rows])) for i, title in enumerate(titles)]

    def control(
        name: str, titles: Sequence[str], measure: Callable[[Conditions], list[Values]]
    ) -> list[dict[str, Any]]:
        values = values_of(name, points)
        return sweeps(titles, values, [setting(name, value) for value in values], items, measure)

    runner, trials = Runner(system, seed, items, frames, bank), find_trials(seed, "smile", 2 * items, bank)
    gains = evaluate_gains(runner.faces(conditioning(Style()))[:LISTENERS], points=points, workers=system.workers)
    for insertion in (SMILE, None):  # before threads ask for them at once
        trials.before(system, insertion)
    figures: dict[str, list[dict[str, Any]]] = {}
    for name, measures in MEASURES.items():

        def of_faces(one: Conditions, measures: Measures = measures) -> list[Values]:
            faces = runner.faces(one)
            return [of(faces) for _, of in measures]

        figures[name] = control(name, [title for title, _ in measures], of_faces)
    figures["responsiveness"] = control(
        "responsiveness", ("answer to a smile (its mouthSmile)", "coupling of smiles"),
        lambda one: [trials.paired(system, one, SMILE).smiles_more().mean(1), runner.coupling(runner.faces(one))],
    )  # fmt: skip
    # The delay is measured where there are answers to measure.
    title = "lag of the answer to a smile, s"
    figures["delay_s"] = control("delay_s", (title,), lambda one: [lag_s(trials.paired(system, one, SMILE))])
    style: dict[str, dict[str, Any]] = {}
    if entries:
        runner = Runner(system, seed, style_items, frames, bank)
    for entry, name in enumerate(entries):

        def statistic(one: Conditions, entry: int = entry) -> list[Values]:
            found, given = measured_style(runner.faces(one))
            return [np.where(given[:, entry] > 0, found[:, entry], np.nan)]

        settings = [style_setting(entry, value) for value in STYLE_VALUES]
        (style[name],) = sweeps(("the same statistic of the stream",), STYLE_VALUES, settings, style_items, statistic)
    wrong = [name for name, parts in figures.items() if not all(part["rises"] for part in parts)]
    wrong += [name for name, part in {**gains, **style}.items() if not part["rises"]]
    found = {
        "controls": figures, "gains": gains, "style": style, "style_items": style_items, "not_rising": wrong,
        "rise": not wrong, "items": items, "seconds": seconds, "seed": seed,
    }  # fmt: skip
    return Study(found, {"controls.png": partial(plot_controls, found)})


def setting(name: str, value: float) -> Conditions:
    """One listener of the default style with one control changed; the delay is set on a responsive one."""
    base = Style(responsiveness=1.0, attitude=1.0) if name == "delay_s" else Style()
    return conditioning(replace(base, **{name: value}))  # type: ignore[arg-type]


def style_setting(entry: int, value: float) -> Conditions:
    """One listener of the default style with one entry of a reference given."""
    reference = tuple(value if i == entry else None for i in range(STYLE_COUNT))
    return conditioning(replace(Style(), reference=reference))
