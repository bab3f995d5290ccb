"""The result of an evaluation: what ran, on what, with which figures an item, and the curves to look at.

`result_files` writes and reads it. Fields that a run fills are those of `Info`, `Item`, `System` and `Metric`. Every
array over items is in the order of `Result.items`; every curve is at `Info.rate_hz`. NaN is "not defined here" (a
figure without its events) or "not observed" (a coefficient).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Values = NDArray[np.float64]
Role = Literal["listener", "baseline", "control", "reference"]
"""listener: under test; baseline: what a simple method reaches; control: the shuffled speaker, which nothing that
listens may score like; reference: recorded people, or whatever the run holds as its ceiling."""
Better = Literal["higher", "lower", "people", "none"]
"""people: the nearer to people's the better; none: told without judgement."""
Class = Literal["agreement", "behaviour", "conformance", "motion", "time"]
"""agreement: with appropriate reactions (REACT's); behaviour: what the listener has learnt or decides; conformance:
what rules make (blinks, gaze), so it only shows that they are kept; motion: fitness for a robot; time: how long."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")


@dataclass(frozen=True, slots=True)
class Metric:
    """What a figure is. `name` as in `System.values` and `System.figures`; the report knows the usual ones itself."""

    name: str
    label: str = ""
    unit: str = ""
    better: Better = "none"
    about: Class = "behaviour"
    text: str = ""
    """Its definition in a sentence."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a whole set that is no mean of the items' values (FRDvs), with its 95 % interval (NaN: none)."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Item:
    """One recording: a speaker, and the recorded listener if there was one."""

    id: str
    """Unique within the result and the same in every run on this recording: results are compared by it."""
    seconds: float
    """Its length."""
    group: str = ""
    """What is drawn together when intervals are made: pair, person, session. "": the item alone."""
    source: str = ""
    """File, bag or data set it comes from."""
    start_ns: int = 0
    """Time of frame 0 on the recording's own clock."""
    speaker: FloatArray | None = None
    """(T, 58) as perceived, relative to the personal neutral; NaN where unobserved. None: no curves kept."""
    speech: FloatArray | None = None
    """(T,) probability that the speaker talks, 0..1; NaN where there was no sound."""
    truth: FloatArray | None = None
    """(T, 58) the recorded listener, NaN where unobserved."""
    notes: tuple[str, ...] = ()
    """What went wrong or was left out, a sentence each."""

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("an item needs an id")
        _curves(self.speaker, f"speaker of {self.id}")
        _curves(self.truth, f"truth of {self.id}")
        if self.speech is not None and self.speech.ndim != 1:
            raise ValueError(f"speech of {self.id} {self.speech.shape} must be (T,)")


@dataclass(frozen=True, slots=True)
class System:
    """A listener, baseline, control or reference on the items of the run."""

    name: str
    """Letters, digits, "_", "-", "."."""
    role: Role = "baseline"
    label: str = ""
    """As people read it; "": the name."""
    note: str = ""
    """What it is, in a sentence."""
    values: Mapping[str, Values] = field(default_factory=dict)
    """(N,) a figure for each item by the metric's name; NaN: not defined there. A set's figure is the mean."""
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """What is not a mean over items, by the metric's name; goes before `values` of that name."""
    streams: Mapping[str, FloatArray] = field(default_factory=dict)
    """(T, 58) by the item's id: the stream that is shown; as many items as shall be looked at."""
    compute_s: Values = field(default_factory=lambda: np.zeros(0))
    """(P,) time that each of its plans took; empty: not measured."""
    lag_s: Values = field(default_factory=lambda: np.zeros(0))
    """(L,) time from the newest evidence of each frame that was shown until it was shown."""
    look_ahead_s: float | None = None
    """Declared: how much of the future it sees. 0: strictly online; None: not declared."""
    causal: bool | None = None
    """Verified at session level: no output up to t changes with what comes after t + look-ahead. None: not tried."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"system name {self.name!r} must be of letters, digits, '_', '-', '.'")
        for name in (*self.values, *self.figures):
            if not _NAME.fullmatch(name):
                raise ValueError(f"metric name {name!r} must be of letters, digits, '_', '-', '.'")
        for id_, stream in self.streams.items():
            _curves(stream, f"stream of {self.name} for {id_}")
        if self.role not in get_args(Role):
            raise ValueError(f"role {self.role!r} must be one of {', '.join(get_args(Role))}")


@dataclass(frozen=True, slots=True)
class Info:
    """What ran. Everything that is needed to run it again, and to say what its figures may be compared with."""

    kind: str
    """"simulator", "react", "dyads", "recordings" or "arrays"."""
    title: str
    subject: str = ""
    """Name of the system under test."""
    compat: str = "default"
    """Metric definitions: "default", "react2024", "mars"."""
    data: str = ""
    """The data set and split, in words."""
    people: bool = False
    """Speakers and listeners are recorded people, not simulated ones."""
    created: str = ""
    """UTC, ISO 8601."""
    command: str = ""
    seeds: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package, commit, libraries."""
    hardware: Mapping[str, Any] = field(default_factory=dict)
    """As `bench.machine.hardware`."""
    weights: Mapping[str, Any] = field(default_factory=dict)
    """Name, digest and training of the model, where one ran."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Sampling, style, options."""
    rate_hz: float = REACTION_RATE_HZ
    """Of all curves."""
    failed: tuple[str, ...] = ()
    """Recordings that could not be evaluated, a sentence each."""


@dataclass(frozen=True, slots=True)
class Result:
    """A whole result, in memory."""

    info: Info
    items: tuple[Item, ...]
    systems: tuple[System, ...]
    metrics: tuple[Metric, ...] = ()
    """Of figures that the report does not know, or knows otherwise."""

    def __post_init__(self) -> None:
        ids = [item.id for item in self.items]
        names = [system.name for system in self.systems]
        for what, given in (("item", ids), ("system", names)):
            twice = sorted({x for x in given if given.count(x) > 1}) if len(set(given)) < len(given) else []
            if twice:
                raise ValueError(f"{what} {twice[0]} is there twice")
        known = set(ids)
        for system in self.systems:
            for name, values in system.values.items():
                if np.shape(values) != (len(ids),):
                    raise ValueError(f"{name} of {system.name} {np.shape(values)} must be {(len(ids),)}")
            strange = [id_ for id_ in system.streams if id_ not in known]
            if strange:
                raise ValueError(f"{system.name} has a stream of an unknown item {strange[0]}")

    def system(self, name: str) -> System:
        """The system of that name. Raises KeyError."""
        for system in self.systems:
            if system.name == name:
                return system
        raise KeyError(name)

    @property
    def subject(self) -> System | None:
        """The system under test: the named one, else the first listener."""
        named = [s for s in self.systems if s.name == self.info.subject]
        return next(iter(named or [s for s in self.systems if s.role == "listener"]), None)

    @property
    def minutes(self) -> float:
        """Length of all items together."""
        return sum(item.seconds for item in self.items) / 60.0


def _curves(values: NDArray[Any] | None, what: str) -> None:
    if values is not None and (values.ndim != 2 or values.shape[1] != COEFFICIENT_COUNT):
        raise ValueError(f"{what} {values.shape} must be (T, {COEFFICIENT_COUNT})")
