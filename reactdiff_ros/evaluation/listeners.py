"""Listeners under test: the model, the simulator's people, the other policies, or a class of the user's.

`StreamListener` takes whole recordings and returns free-running streams, each from its own past only. `Spec` names a
listener as `--listener` takes it ("model", another policy, "module:Class" or "file.py:Class") and makes one for a
session. A class of the user's has the interface of `model.listener.Listener` and takes `seed=`. It may declare
`look_ahead_s`; one with a method `foresee` receives all frames of the recording first, as an offline model needs them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.evaluation.results import NOTES, RULES
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import MANIFEST, Weights, find_weights
from reactdiff_ros.model.diffusion.conditions import CONTROL_COUNT, STYLE_COUNT
from reactdiff_ros.model.diffusion.sampler import Conditions, Sampling
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.model.plan.corrections import conditioning
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.streams import free_run, speaker_tokens
from reactdiff_ros.settings import POLICIES
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.policy import perceive
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import Temperament, draw_temperaments
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.styles import DEFAULT_STYLE, load_styles
from reactdiff_ros.types import (
    EXPRESSION_CLASSES,
    REACTION_RATE_HZ,
    Affect,
    FloatArray,
    Gaze,
    Reaction,
    SpeakerFrame,
    Voice,
)

Seeds = NDArray[np.integer[Any]]
FRAME_NS = int(NS / REACTION_RATE_HZ)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the manifest records about the training data."""

    real: bool
    """Recorded people were among the training data."""
    fold: str
    """"2/4": the pairs of the second of four folds were held out; "": none."""
    ablate: tuple[str, ...]
    """What was left out of the training."""
    seed: int
    runs: tuple[Mapping[str, Any], ...]
    """Every run of training that led to it, the first one first: "settings" that were not the defaults, "steps"."""

    @property
    def calls(self) -> bool:
        """Recorded calls were among the training data (`dev train --dyads`, `--speakers`); older manifests know no
        others.
        """
        described = [run for run in self.runs if "data" in run]
        learnt = (r for r in described if "real" not in r.get("settings", {}).get("ablate", ()))
        met = ({"dyads", "speakers"} & {*r["data"]} for r in learnt)
        return any(met) or (self.real and not described)

    @property
    def held_out(self) -> tuple[int, int] | None:
        """(fold from 0, count), None where no fold was held out."""
        if not self.fold:
            return None
        first, _, count = self.fold.partition("/")
        return int(first) - 1, int(count)


def provenance(weights: Weights) -> Provenance:
    """The training facts in the manifest of `weights`.

    Raises:
        ReactdiffError: the manifest lacks them, or has an unknown form.
    """
    path = Path(weights.folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = Provenance(
            real=bool(manifest["real"]), fold=str(manifest["fold"]), ablate=tuple(map(str, manifest["ablate"])),
            seed=int(manifest["seed"]), runs=tuple(map(dict, manifest.get("training", ()))),
        )  # fmt: skip
        _ = found.held_out
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = "the manifest does not say what the weights were trained on"
        raise ReactdiffError(what, where=str(path), todo="write it again with 'reactdiff dev export'") from error
    return found


def weights_facts(weights: Weights) -> dict[str, Any]:
    """Which weights a result was made with, and the hash of the simulator that they were trained on."""
    nods = None if weights.nods is None else weights.nods.digest
    return {"name": weights.name, "digest": weights.digest, "trained_on": weights.simulator, "nods": nods}


def voices_facts(bank: VoiceBank | None) -> dict[str, Any]:
    """Which voices simulated speakers had: parametric ones, or those of a bank, with its digest."""
    if bank is None:
        return {"kind": "parametric"}
    digest = hashlib.sha256(bank.frames.tobytes()).hexdigest()[:12]
    return {"kind": "synthesised", "voices": len(bank.phrases), "digest": digest}


def frames_of(batch: SpeakerBatch, row: int) -> Iterator[SpeakerFrame]:
    """What perception would have sent for one speaker of a (B, T) batch; frame t is at t / 25 s."""
    b, unknown = batch, np.zeros(len(EXPRESSION_CLASSES), dtype=np.float32)
    for t in range(b.camera.shape[1]):
        at, stamp = (row, t), (t + 1) * FRAME_NS
        mesh = bool(b.mesh[at])
        affect = voice = None
        if b.affect_observed[at] and mesh:  # valence and arousal; no one has read the expression off landmarks
            affect = Affect("neutral", unknown, float(b.affect[at][-2]), float(b.affect[at][-1]))
        if b.microphone[at]:
            voice = Voice(
                float(b.speech_probability[at]), bool(b.speaking[at]), b.mfcc[at], float(b.pitch_hz[at]),
                float(b.loudness_dbfs[at]), float(b.pause_s[at]), float(b.utterance_s[at]),
            )  # fmt: skip
        yield SpeakerFrame(
            stamp_ns=stamp, picture_stamp_ns=stamp if b.camera[at] else None,
            sound_stamp_ns=stamp if b.microphone[at] else None, person_id=0 if b.face[at] else -1,
            face_present=bool(b.face[at]), mesh_present=mesh, coefficients=b.coefficients[at],
            confidence=b.confidence[at], neutral_confidence=float(b.neutral_confidence[at]),
            gaze=Gaze(*(float(x) for x in b.gaze[at])) if b.gaze_observed[at] and mesh else None,
            position_m=None, affect=affect, voice=voice,
        )  # fmt: skip


def played(listener: Listener, frames: Sequence[SpeakerFrame], where: str) -> tuple[FloatArray, list[float]]:
    """What a listener shows (T, 58) that observes T frames at 25 Hz, and the seconds that each of its plans took.

    Raises:
        ReactdiffError: what it planned is no plan, or begins in the past.
    """
    shown = np.zeros((len(frames), COEFFICIENT_COUNT), dtype=np.float32)
    seconds = []
    for t, frame in enumerate(frames):
        begun = perf_counter()
        listener.observe(frame)
        reaction = listener.plan(frame.stamp_ns)
        if reaction is None:
            continue
        seconds.append(perf_counter() - begun)
        check(reaction, where)
        first = round((reaction.start_ns - frames[0].stamp_ns) * reaction.rate_hz / NS)
        if first <= t:
            raise ReactdiffError("a plan begins in the past", where=where, todo="plans begin after now_ns")
        there = shown[first : first + len(reaction.coefficients)]
        there[:] = reaction.coefficients[: len(there)]
    return shown, seconds


def check(reaction: Reaction, where: str) -> None:
    """Raises ReactdiffError if a plan has another shape or rate, or holds a value that is not finite."""
    values = np.asarray(reaction.coefficients)
    if values.ndim != 2 or values.shape[1] != COEFFICIENT_COUNT or not len(values):
        raise ReactdiffError(f"a plan has shape {values.shape} instead of (frames, {COEFFICIENT_COUNT})", where=where)
    if reaction.rate_hz * FRAME_NS != NS:
        raise ReactdiffError(f"a plan has {reaction.rate_hz:g} frames a second instead of 25", where=where)
    if not np.isfinite(values).all():
        raise ReactdiffError("a plan holds values that are not numbers", where=where)


MODEL: Final = "model"
Shows: TypeAlias = Callable[..., FloatArray]
"""(conditions, seeds, speaker_of=None) -> streams (N, T, 58); `speaker_of` (N,): the speaker of each, else its own."""


@dataclass(eq=False)
class StreamListener:
    """A listener as a function of whole recordings, by its name.

    "model"; "simulator", the simulator's listener, who knows the truth about the speaker; "policy", the same one who
    knows what perception delivers; or rules, mime, random and idle, which take no conditions.
    """

    name: str
    weights: Weights = None  # type: ignore[assignment]
    """The model's; no other listener has any."""
    how: Sampling = field(default_factory=Sampling)
    """The model's."""
    workers: int = 1

    @cached_property
    def networks(self) -> Networks:
        """The model's exported graphs."""
        return Networks(self.weights)

    def run(
        self, speaker: SpeakerBatch, conditions: Conditions, seeds: Seeds, truth: Stimulus | None = None
    ) -> FloatArray:
        """The streams (N, T, 58) shown to N speakers.

        Args:
            speaker: (N, T) as perception delivers them.
            conditions: of the N listeners.
            seeds: (N,) of their noise; the simulator's listeners take the first one for all rows.
            truth: what can be known of the speakers, (N, T); only "simulator" needs it.
        """
        if self.name == MODEL:
            return self.of_tokens(speaker_tokens(self.networks, speaker), conditions, seeds)
        if self.name not in ("simulator", "policy"):
            listeners = [make_listener(self.name, seed=seed, config=ListenerConfig()) for seed in seeds.tolist()]
            rows = enumerate(listeners)
            return np.stack([played(one, list(frames_of(speaker, row)), self.name)[0] for row, one in rows])
        known = perceive(speaker) if self.name == "policy" else truth
        assert known is not None
        return listen(known, temperaments(conditions, int(seeds[0])), int(seeds[0])).coefficients

    def before(self, speaker: SpeakerBatch, truth: Stimulus | None = None) -> Shows:
        """What it shows to these speakers, of whom `run` takes the same arguments; the model encodes them only once."""
        if self.name == MODEL:
            return partial(self.of_tokens, speaker_tokens(self.networks, speaker))

        def shows(conditions: Conditions, seeds: Seeds, speaker_of: Any | None = None) -> FloatArray:
            if speaker_of is None:
                return self.run(speaker, conditions, seeds, truth)
            known = None if truth is None else truth.take(speaker_of)
            return self.run(speaker.take(speaker_of), conditions, seeds, known)

        return shows

    def of_tokens(
        self, tokens: FloatArray, conditions: Conditions, seeds: Seeds, speaker_of: Any | None = None
    ) -> FloatArray:
        """As `run` of the model, from the speakers' tokens (N, T, D); `speaker_of` (K,): speaker of each stream."""
        rows = np.arange(len(seeds)) if speaker_of is None else speaker_of
        return free_run(
            self.networks, tokens, conditions, speaker_of=rows, seeds=seeds, how=self.how, workers=self.workers
        )

    def sampled(self, **changes: Any) -> StreamListener:
        """The same networks with other settings of `Sampling`."""
        other = replace(self, how=replace(self.how, **changes))
        other.__dict__["networks"] = self.networks
        return other


def named(name: str, model: StreamListener | None) -> StreamListener:
    """The listener of that name; for "model" the one that is given.

    Raises:
        ReactdiffError: none is given.
    """
    if name == MODEL and model is None:
        raise ReactdiffError("there is no model to listen", todo="give one, or leave out what needs one")
    return model if name == MODEL and model is not None else StreamListener(name)


def usual_conditions(listener: StreamListener, count: int) -> Conditions:
    """The default style for the model; other listeners take no conditions."""
    return natural_conditions(count) if listener.name == MODEL else no_conditions(count)


def temperaments(conditions: Conditions, seed: int) -> Temperament:
    """Simulated listeners with the controls that are given; the natural prior draws the others, and the traits."""
    controls = np.where(conditions.controls_given > 0, conditions.controls, np.nan).astype(np.float32)
    return draw_temperaments(seed, len(conditions), prior="natural", controls=controls)


def live_sampling(*, steps: int | None = None, guidance: float | None = None, hop_s: float | None = None) -> Sampling:
    """The sampling of the live listener's settings, where nothing else is given."""
    live = ListenerConfig()
    return Sampling(
        steps=live.steps if steps is None else steps, guidance=live.guidance if guidance is None else guidance,
        hop=round((live.hop_s if hop_s is None else hop_s) * REACTION_RATE_HZ),
    )  # fmt: skip


def style_conditions(style: str, count: int, **settings: Any) -> Conditions:
    """Conditions of `count` listeners under the named style, with `settings` of it changed."""
    return of_one(conditioning(replace(load_styles()[style], **settings)), count)


def natural_conditions(count: int) -> Conditions:
    """Conditions of `count` listeners under the default style."""
    return style_conditions(DEFAULT_STYLE, count)


def no_conditions(count: int) -> Conditions:
    """Conditions of `count` listeners without any control or style."""
    controls, style = (np.zeros((count, n), dtype=np.float32) for n in (CONTROL_COUNT, STYLE_COUNT))
    return Conditions(controls, controls, style, style, np.zeros(count, dtype=np.float32))


def of_one(one: Conditions, count: int) -> Conditions:
    """Conditions of `count` listeners, all those of one."""
    return one.take(np.zeros(count, dtype=np.intp))


METHODS: Final = ("name", "reset", "control", "robot_speaking", "observe", "plan", "state")


def foresee(listener: Any, frames: Callable[[], Sequence[SpeakerFrame]]) -> None:
    """Give an offline listener all frames of the recording, after `reset` and before the first `observe`."""
    if callable(getattr(listener, "foresee", None)):
        listener.foresee(frames())


def look_ahead_s(listener: Listener) -> float:
    """How far into the future a listener declares to look (infinity: the whole recording); 0 without a declaration.

    Raises:
        ReactdiffError: what it declares is no time.
    """
    declared = getattr(listener, "look_ahead_s", 0.0)
    if isinstance(declared, bool) or not isinstance(declared, (int, float)) or not declared >= 0:
        what, todo = f"the listener declares a look-ahead of {declared!r}", "give look_ahead_s in seconds, 0 or more"
        raise ReactdiffError(what, where=type(listener).__name__, todo=todo)
    return float(declared)


@dataclass(frozen=True, slots=True)
class Spec:
    """A listener as the user named it, in plain data: any process can make it."""

    text: str
    """As `--listener` takes it."""
    weights: str = ""
    """Folder of the model's weights; "": the shipped ones."""

    @property
    def name(self) -> str:
        """For tables: the policy's name, or that of the class; a policy with the name of a baseline gets "_live"."""
        last = self.text.rpartition(":")[2]
        return f"{last}_live" if last in NOTES and last != RULES else last

    @property
    def own(self) -> bool:
        """A class from outside this package."""
        return ":" in self.text

    @property
    def files(self) -> tuple[str, ...]:
        """What the listener is made of, as far as that is known: a change of it makes results stale."""
        place = self.text.rpartition(":")[0]
        if place.endswith(".py"):
            return (str(Path(place)),)
        if self.text == MODEL:
            return (str(find_weights(self.weights).folder),)
        try:
            found = importlib.util.find_spec(place) if place else None
        except (ImportError, ValueError):
            found = None
        return () if found is None or not found.origin else (found.origin,)

    def make(self, seed: int) -> Listener:
        """The listener.

        Raises:
            ReactdiffError: it cannot be loaded, or lacks a part of the interface.
        """
        if self.own:
            return self._own(seed)
        if self.text not in POLICIES:
            todo = f"name one of {', '.join(POLICIES)}, or a class of your own as module:Class or file.py:Class"
            raise ConfigError("unknown listener", where=self.text, todo=todo)
        return make_listener(self.text, seed=seed, config=ListenerConfig(model_dir=self.weights))

    def _own(self, seed: int) -> Listener:
        place, _, name = self.text.rpartition(":")
        try:
            module = _module_of(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        except ReactdiffError:
            raise
        except Exception as error:  # the user's module may raise anything
            todo = f"{type(error).__name__}: {error}"
            if isinstance(error, ModuleNotFoundError):
                todo = f"{error.name} is not installed; a file is named as path/to/file.py:Class"
            raise ReactdiffError("the listener's module cannot be imported", where=place, todo=todo) from error
        kind = getattr(module, name, None)
        if not callable(kind):
            raise ReactdiffError("there is no such listener", where=self.text, todo=f"does {place} define {name}?")
        try:
            listener: Listener = kind(seed=seed)
        except ReactdiffError:
            raise
        except Exception as error:
            todo = f"it must take seed=: {type(error).__name__}: {error}"
            raise ReactdiffError("the listener cannot be made", where=self.text, todo=todo) from error
        if missing := [method for method in METHODS if not hasattr(listener, method)]:
            todo = "docs/bring_your_own_listener.md shows the interface"
            raise ReactdiffError(f"the listener lacks {', '.join(missing)}", where=self.text, todo=todo)
        return listener


def _module_of(path: Path) -> Any:
    name = f"_listener_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ReactdiffError("the listener's file is missing, or no Python module", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener showed to one speaker, several times."""

    streams: FloatArray
    """(K, T, 58)."""
    compute_s: NDArray[np.float64]
    """(P,) time that each plan took; of the model, which draws the K streams at once, each plan's share."""
    frame_ms: float
    """Mean time that one frame of one stream took, all of it counted."""
    lag_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(L,) age of the evidence in what was shown; empty: not measured."""


def listen_to(spec: Spec, speaker: SpeakerBatch, seeds: Sequence[int]) -> Heard:
    """Free-running streams of `spec` for one speaker (1, T), each from its own past, one for each seed.

    The model runs under its default style: K streams at once, as live but for engagement and evidence.

    Raises:
        ReactdiffError: the listener cannot be made, or what it planned is no plan.
    """
    count, frames = len(seeds), list(frames_of(speaker, 0))
    if spec.text == MODEL:
        model = StreamListener(MODEL, find_weights(spec.weights), live_sampling())
        _ = model.networks  # loading them is not timed
        begun = perf_counter()
        tokens = speaker_tokens(model.networks, speaker)
        same_speaker = np.zeros(count, dtype=np.intp)
        streams = model.of_tokens(tokens, natural_conditions(count), np.array(seeds, dtype=np.int64), same_speaker)
        passed = perf_counter() - begun
        plans = len(range(0, len(frames), model.how.hop)) * count
        return Heard(streams, np.full(plans, passed / plans), 1e3 * passed / (len(frames) * count))
    shown: list[FloatArray] = []
    compute_s: list[float] = []
    begun = perf_counter()
    for seed in seeds:
        listener = spec.make(seed)
        look_ahead_s(listener)  # raises where it declares no time
        with named_errors(spec):
            listener.reset(seed)
            foresee(listener, lambda: frames)
            stream, seconds = played(listener, frames, spec.text)
        shown.append(stream)
        compute_s += seconds
    frame_ms = 1e3 * (perf_counter() - begun) / max(len(frames) * count, 1)
    return Heard(np.stack(shown), np.array(compute_s), frame_ms)


@contextmanager
def named_errors(spec: Spec) -> Iterator[None]:
    """Turns any error of the user's class into a sentence that names it; errors of this package pass unchanged.

    Raises:
        ReactdiffError: the listener raised something.
    """
    try:
        yield
    except ReactdiffError:
        raise
    except Exception as error:
        if not spec.own:
            raise
        raise ReactdiffError(f"the listener failed: {type(error).__name__}: {error}", where=spec.text) from error
