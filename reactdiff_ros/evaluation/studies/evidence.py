"""Measures all parts of the evidence of a set of weights and stores each, so that an interrupted run resumes.

A stored part is used again if it was measured with the same weights, settings, simulator and package version. The code
is not compared: every part carries the commit that it was measured with. Delete the file of a part to measure it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.machine import commit, hardware
from reactdiff_ros.evaluation.bench.model import bench_model
from reactdiff_ros.evaluation.bounds import judge
from reactdiff_ros.evaluation.listeners import MODEL, StreamListener, voices_facts
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.evaluation.runs.parts import Keep, Part, PartResult
from reactdiff_ros.evaluation.studies.behaviour import evaluate_behaviour
from reactdiff_ros.evaluation.studies.controls import bench_response, evaluate_controls
from reactdiff_ros.evaluation.studies.dyads import evaluate_dyads, read_calls
from reactdiff_ros.evaluation.studies.sampling import evaluate_streams
from reactdiff_ros.evaluation.studies.sessions import evaluate_sessions
from reactdiff_ros.evaluation.studies.simulator import evaluate as evaluate_simulator
from reactdiff_ros.model.backends.weights import MANIFEST, Weights
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.simulator.dyads import simulator_hash
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import OnProgress

Arrays = Mapping[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything is measured; the defaults are those of the commands."""

    items: int = 200
    seconds: float = 30.0
    trials: int = 200
    behaviour_items: int = 100
    behaviour_seconds: float = 60.0
    stream_items: int = 200
    """Twice as many as of the command: what makes most of the brows' variance, raises, is rare, as are laughs."""
    stream_seconds: float = 40.0
    control_items: int = 32
    """Half as many let the variance of brows, lids and mouth differ by a tenth by chance alone, as raises and laughs
    are rare."""
    sessions: int = 6
    minutes: float = 6.0
    permutations: int = 5000
    repeats: int = 200


def sizes_for(items: int, *, short: bool = False, hours: int = 0) -> Sizes:
    """Sizes in proportion to `items` speakers of `evaluate simulator`.

    Args:
        items: 200 is what the bounds are meant for.
        short: a few minutes, to see that everything runs; its figures are noise.
        hours: so many sessions of an hour instead of 6 of six minutes; 0: none.
    """
    if short:
        return Sizes(
            items=8, seconds=12.0, trials=10, behaviour_items=8, behaviour_seconds=16.0, stream_items=8,
            stream_seconds=12.0, control_items=4, sessions=2, minutes=6.0, permutations=200, repeats=20,
        )  # fmt: skip
    half = max(items // 2, 8)
    return Sizes(
        items=items, trials=max(items, 10), behaviour_items=half, stream_items=max(items, 8),
        control_items=max(items * 32 // 200, 4), sessions=hours or 6, minutes=60.0 if hours else 6.0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """What the evidence is about, and how it is measured."""

    weights: Weights
    how: Sampling
    timer: Callable[[], float]
    """Seconds of a monotonic clock, for the speeds and for what each part takes."""
    sizes: Sizes = field(default_factory=Sizes)
    seed: int = 0
    bank: VoiceBank | None = None
    workers: int = 1
    dyads: Path | None = None
    """Folder of recorded calls."""
    folds: tuple[Weights, ...] = ()
    """Four models, each trained without the pairs of one fold of those calls."""
    simulator: str = field(default_factory=simulator_hash)
    """Hash of the simulator that the figures are measured on."""
    keep: Keep | None = None
    """Store for the results of long parts as they arrive; None: nothing is stored."""

    def stored(self, name: str, measure: Callable[[], Arrays]) -> Arrays:
        """The arrays of a group of sessions: from the store if they are there with the same settings, else measured.

        A store that cannot be read or written (a full disk) costs only the time to measure them again.
        """
        if self.keep is None:
            return measure()
        settings = {**settings_of("sessions", self), "sizes": {"minutes": self.sizes.minutes}}
        part = Part(name, evaluate_sessions, settings)
        with suppress(ReactdiffError):
            if self.keep.stale(part) is None:
                return self.keep.load(part).arrays
        found = measure()
        with suppress(ReactdiffError):
            self.keep.save(part, PartResult(arrays=dict(found)))
        return found

    def listener(self, weights: Weights | None = None) -> StreamListener:
        """The model on its graphs; `weights`: another one, sampled alike."""
        return StreamListener(MODEL, weights or self.weights, self.how, self.workers)


def dyads(subject: Subject, progress: OnProgress) -> Study:
    """`evaluate dyads`: next to real people. With models of folds, "model" is theirs and "shipped" the subject's."""
    if subject.dyads is None:
        raise ReactdiffError("no recorded calls were given", todo="name their folder with --dyads")
    calls = read_calls(subject.dyads)
    settings: dict[str, Any] = {"seed": subject.seed, "permutations": subject.sizes.permutations}
    tested = [subject.listener(weights) for weights in subject.folds] or [subject.listener()]
    found = evaluate_dyads(calls, tested, **settings, progress=lambda share: progress(0.8 * share))
    if subject.folds:
        shipped = evaluate_dyads(calls, [subject.listener()], systems=("model",), **settings)
        found.figures["shipped"] = shipped.figures["model"]
    return found


def autoencoder(subject: Subject, progress: OnProgress) -> Study:
    """What training found of the autoencoder on listeners that it had not seen: as the manifest has it."""
    path = subject.weights.folder / MANIFEST
    facts = json.loads(path.read_text(encoding="utf-8")).get("autoencoder")
    if not facts:
        raise ReactdiffError(
            "the manifest says nothing about the autoencoder", where=str(path),
            todo="write it again with 'reactdiff dev export'",
        )  # fmt: skip
    return Study(dict(facts))


def speed(subject: Subject, progress: OnProgress) -> Study:
    """`bench model` on one thread."""
    return Study(
        bench_model(subject.weights, subject.how, subject.timer, repeats=subject.sizes.repeats, progress=progress)
    )


@dataclass(frozen=True, slots=True)
class EvidencePart:
    """A part of the evidence, and which of `Sizes` its figures depend on."""

    measure: Callable[[Subject, OnProgress], Study]
    sizes: tuple[str, ...] = ()


def _study(study: Callable[..., Study], *, stored: bool = False, **sizes: str) -> EvidencePart:
    """A study of the model; `sizes`: the field of `Sizes` that each of its arguments is. `stored`: it keeps groups."""

    def measure(subject: Subject, progress: OnProgress) -> Study:
        given: dict[str, Any] = {argument: getattr(subject.sizes, size) for argument, size in sizes.items()}
        given |= {"stored": subject.stored} if stored else {}
        return study(subject.listener(), seed=subject.seed, bank=subject.bank, progress=progress, **given)

    return EvidencePart(measure, tuple(sizes.values()))


PARTS: Final[dict[str, EvidencePart]] = {
    "autoencoder": EvidencePart(autoencoder),
    "speed": EvidencePart(speed, ("repeats",)),
    "dyads": EvidencePart(dyads, ("permutations",)),
    "response": _study(bench_response, trials="trials"),
    "behaviour": _study(evaluate_behaviour, items="behaviour_items", seconds="behaviour_seconds"),
    "streams": _study(evaluate_streams, items="stream_items", seconds="stream_seconds"),
    "controls": _study(evaluate_controls, items="control_items", seconds="seconds"),
    "sessions": _study(evaluate_sessions, stored=True, sessions="sessions", minutes="minutes"),
    "simulator": _study(evaluate_simulator, items="items", seconds="seconds"),
}
"""Every part by its name, the quick ones first."""


def settings_of(part: str, subject: Subject) -> dict[str, Any]:
    """Everything that the figures of a part depend on besides the code, as JSON values.

    The code is not among them: `collect` records the commit with the figures instead.
    """
    nods = subject.weights.nods
    return {
        "weights": subject.weights.digest, "seed": subject.seed, "sampling": asdict(subject.how),
        "sizes": {name: getattr(subject.sizes, name) for name in PARTS[part].sizes},
        "voices": voices_facts(subject.bank).get("digest", ""),
        "folds": [w.digest for w in subject.folds] if part == "dyads" else [],
        "simulator": subject.simulator, "nods": None if nods is None else nods.digest,
    }  # fmt: skip


FORMAT: Final = 1
"""Of evidence.json; another one is refused."""
KEPT: Final = "kept"
"""Folder of the stored parts."""
PICTURES: Final = "images"


def collect(
    subject: Subject, folder: Path, *, parts: Collection[str], run: Collection[str] | None = None, date: str,
    encode: Callable[[Any], str], progress: OnProgress = lambda share: None,
    log: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure what is not stored yet, and judge all bounds. A part that fails does not end the others.

    Args:
        subject: the weights, and how they are measured.
        folder: of the store and the pictures; created if it is missing.
        parts: names of PARTS, in the order in which they are measured.
        run: those that may be measured (all); the others are used if they are stored.
        date: of the evidence, YYYY-MM-DD.
        encode: strict JSON of figures, NaN as null.
        progress: receives the completed fraction in [0, 1].
        log: receives sentences for the user.

    Returns:
        The content of evidence.json.

    Raises:
        ReactdiffError: the folder cannot be created.
    """
    keep = Keep(folder / KEPT)
    failed: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    subject, here = replace(subject, keep=keep), hardware()
    for i, name in enumerate(parts):
        # As they are read back: JSON has no tuples.
        part = Part(name, collect, json.loads(encode(settings_of(name, subject))))
        reason = keep.stale(part)
        if reason:
            log(f"{name}: the stored result is not used, {reason}")
        try:
            if reason is None:
                found[name] = keep.load(part).facts
            elif run is None or name in run:
                start = subject.timer()
                measured = PARTS[name].measure(subject, lambda share, i=i: progress((i + share) / len(parts)))  # type: ignore[misc]
                settings = {**part.arguments, "commit": commit(Path(__file__).resolve().parent)}
                facts = {"settings": settings, "seconds": subject.timer() - start, "figures": measured.figures}
                found[name] = json.loads(encode(facts))
                keep.save(part, PartResult(found[name]))
                for picture, draw in measured.pictures.items():
                    draw(folder / PICTURES / picture)
        except Exception as error:  # the other parts are still worth having
            sentence = str(error) if isinstance(error, ReactdiffError) else f"{type(error).__name__}: {error}"
            # Figures that could not be stored or drawn are still reported.
            failed |= {} if name in found else {name: sentence}
            log(f"{name}: {sentence}")
        progress((i + 1) / len(parts))
    figures = {name: facts["figures"] for name, facts in found.items()}
    verdicts, weights = judge(figures), subject.weights
    machine = f"{here['cpu']}, {here['cores']} cores, {here['memory_gb']} GB, {here['gpu'] or 'no GPU'}"
    return {
        "format": FORMAT,
        "weights": {
            "name": weights.name, "digest": weights.digest, "simulator": weights.simulator,
            "parameters": weights.parameters,
        },
        "simulator": subject.simulator, "date": date, "hardware": f"{machine}, Python {here['python']}",
        "settings": {name: facts["settings"] for name, facts in found.items()},
        "seconds": {name: facts["seconds"] for name, facts in found.items()},
        "parts": figures, "failed": failed, "bounds": [v.as_dict() for v in verdicts],
        "held": sum(v.holds is True for v in verdicts), "of": len(verdicts),
    }  # fmt: skip
