"""Listeners under test: the model, the other policies, or anybody's own class, and the streams that they make.

`--listener` takes "model", another policy's name, "module:Class" or "file.py:Class". A class of one's own has the
interface of `model.listener.Listener` and takes `seed=`; it may declare `look_ahead_s` (`evaluation.online`).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.evaluation.baselines import NOTES, RULES
from reactdiff_ros.evaluation.online import Foresees, foresees, look_ahead_s
from reactdiff_ros.evaluation.studies.frame_policies import FRAME_NS, frames_of
from reactdiff_ros.evaluation.studies.listeners import natural_conditions
from reactdiff_ros.evaluation.studies.systems import live_sampling
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.streams import free_run, speaker_tokens
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.settings import POLICIES
from reactdiff_ros.types import FloatArray, Reaction, SpeakerFrame

MODEL: Final = "model"
METHODS: Final = ("name", "reset", "control", "robot_speaking", "observe", "plan", "state")


@dataclass(frozen=True, slots=True)
class Spec:
    """A listener as it was named, in plain data: any process can make it."""

    text: str
    """As `--listener` takes it."""
    weights: str = ""
    """Folder of the model's weights; "": the shipped ones."""

    @property
    def name(self) -> str:
        """For tables: the policy's name, or that of the class. Beside a baseline of its name, a policy runs "live"."""
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
        if not place and self.text == MODEL:
            return (str(find_weights(self.weights).folder),)
        found = importlib.util.find_spec(place) if place and _importable(place) else None
        return (found.origin,) if found is not None and found.origin else ()

    def make(self, seed: int, *, timed: bool = False) -> Listener:
        """The listener.

        Raises:
            ReactdiffError: it cannot be loaded, or lacks a part of the interface.
        """
        if self.own:
            return _made(_class_of(self.text), seed, self.text)
        if self.text not in POLICIES:
            raise ConfigError(
                "unknown listener", where=self.text,
                todo=f"name one of {', '.join(POLICIES)}, or a class of your own as module:Class or file.py:Class",
            )  # fmt: skip
        config = ListenerConfig(model_dir=self.weights)
        return make_listener(self.text, seed=seed, config=config, timer=perf_counter if timed else None)


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _class_of(text: str) -> Any:
    place, _, name = text.rpartition(":")
    try:
        module = _module_of(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except ReactdiffError:
        raise
    except ModuleNotFoundError as error:
        raise ReactdiffError(
            "the listener's module cannot be imported", where=place,
            todo=f"{error.name} is not installed; a file is named as path/to/file.py:Class",
        ) from error  # fmt: skip
    except Exception as error:  # what stands in somebody's module may raise anything
        raise ReactdiffError(
            "the listener's module cannot be imported", where=place, todo=f"{type(error).__name__}: {error}"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        raise ReactdiffError("there is no such listener", where=text, todo=f"does {place} define {name}?")
    return found


def _module_of(path: Path) -> Any:
    if not path.is_file():
        raise ReactdiffError("the listener's file is not there", where=str(path), todo="check the path")
    name = f"_listener_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ReactdiffError("the listener's file is no Python module", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _made(kind: Callable[..., Any], seed: int, text: str) -> Listener:
    try:
        listener = kind(seed=seed)
    except ReactdiffError:
        raise
    except Exception as error:
        raise ReactdiffError(
            "the listener cannot be made", where=text, todo=f"it must take seed=: {type(error).__name__}: {error}"
        ) from error
    missing = [name for name in METHODS if not hasattr(listener, name)]
    if missing:
        raise ReactdiffError(
            f"the listener lacks {', '.join(missing)}", where=text,
            todo="docs/bring_your_own_listener.md shows the interface",
        )  # fmt: skip
    made: Listener = listener
    return made


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener showed to one speaker, several times."""

    streams: FloatArray
    """(K, T, 58)."""
    compute_s: NDArray[np.float64]
    """(P,) time that each plan took; of the model, which draws the K streams at once, each plan's share."""
    frame_ms: float
    """Mean time that one frame of one stream took, all of it counted."""
    look_ahead_s: float


def listen(spec: Spec, speaker: SpeakerBatch, seeds: Sequence[int]) -> Heard:
    """Free-running streams of `spec` for one speaker (1, T), each from its own past, one for each seed.

    Raises:
        ReactdiffError: the listener cannot be made, or what it planned is no plan.
    """
    if spec.text == MODEL:
        return _model(spec, speaker, seeds)
    frames = list(frames_of(speaker, 0))
    streams: list[FloatArray] = []
    taken: list[float] = []
    begun = perf_counter()
    ahead = 0.0
    for seed in seeds:
        listener = spec.make(seed)
        ahead = look_ahead_s(listener)
        with blamed(spec):
            listener.reset(seed)
            if foresees(listener):
                cast(Foresees, listener).foresee(frames)
            streams.append(_stream(listener, frames, taken, spec.text))
    frame_ms = 1e3 * (perf_counter() - begun) / max(len(frames) * len(seeds), 1)
    return Heard(np.stack(streams), np.array(taken), frame_ms, ahead)


@contextmanager
def blamed(spec: Spec) -> Iterator[None]:
    """Whatever somebody's own class raises is a sentence that names it; the package's own listeners show their faults.

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


def _stream(listener: Listener, frames: Sequence[SpeakerFrame], taken: list[float], where: str) -> FloatArray:
    shown = np.zeros((len(frames), COEFFICIENT_COUNT), dtype=np.float32)
    for t, frame in enumerate(frames):
        begun = perf_counter()
        listener.observe(frame)
        reaction = listener.plan(frame.stamp_ns)
        if reaction is None:
            continue
        taken.append(perf_counter() - begun)
        check(reaction, where)
        first = round((reaction.start_ns - frames[0].stamp_ns) * reaction.rate_hz / NS)
        if first <= t:
            raise ReactdiffError("a plan begins in the past", where=where, todo="plans begin after now_ns")
        there = shown[first : first + len(reaction.coefficients)]
        there[:] = reaction.coefficients[: len(there)]
    return shown


def check(reaction: Reaction, where: str) -> None:
    """Raises ReactdiffError where a plan of a listener from outside has another shape, rate or value than it may."""
    values = np.asarray(reaction.coefficients)
    if values.ndim != 2 or values.shape[1] != COEFFICIENT_COUNT or not len(values):
        raise ReactdiffError(f"a plan has shape {values.shape} instead of (frames, {COEFFICIENT_COUNT})", where=where)
    if reaction.rate_hz * FRAME_NS != NS:
        raise ReactdiffError(f"a plan has {reaction.rate_hz:g} frames a second instead of 25", where=where)
    if not np.isfinite(values).all():
        raise ReactdiffError("a plan holds values that are not numbers", where=where)


def _model(spec: Spec, speaker: SpeakerBatch, seeds: Sequence[int]) -> Heard:
    """The trained model under its default style: K streams at once, as live but for engagement and evidence."""
    networks = Networks(find_weights(spec.weights))
    how = live_sampling()
    count, frames = len(seeds), speaker.camera.shape[1]
    begun = perf_counter()
    tokens = speaker_tokens(networks, speaker)
    streams = free_run(
        networks, tokens, natural_conditions(count), speaker_of=np.zeros(count, dtype=np.intp),
        seeds=np.array(seeds, dtype=np.int64), how=how,
    )  # fmt: skip
    taken = perf_counter() - begun
    plans = len(range(0, frames, how.hop)) * count
    return Heard(streams, np.full(plans, taken / plans), 1e3 * taken / (frames * count), 0.0)
