"""The result of an evaluation: what ran, on what, with which figures an item, and the curves to look at.

`results` writes and reads it. Fields that a run fills are those of `Info`, `Item`, `System` and `Metric`. Every
array over items is in the order of `Result.items`; every curve is at `Info.rate_hz`. NaN is "not defined here" (a
figure without its events) or "not observed" (a coefficient).
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError, explained, reason_of
from reactdiff_ros.plain_json import finite
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray
from reactdiff_ros.whole_file import whole_file

Values = NDArray[np.float64]
Role = Literal["listener", "baseline", "control", "reference"]
"""listener: under test; baseline: what a simple method reaches; control: the shuffled speaker, which nothing that
listens may score like; reference: recorded people, or whatever the run holds as its ceiling."""
Better = Literal["higher", "lower", "people", "none"]
"""people: the nearer to people's the better; none: shown without judgement."""
Class = Literal["agreement", "behaviour", "conformance", "motion", "time"]
"""agreement: with appropriate reactions (REACT's); behaviour: what the listener has learnt or decides; conformance:
what rules make (blinks, gaze), so it only shows that they are kept; motion: fitness for a robot; time: how long."""

GROUND_TRUTH, MIME, RANDOM, MEAN_SEQUENCE, MEAN_FRAME, NEAREST, SHUFFLED = (
    "ground_truth", "mime", "random", "mean_sequence", "mean_frame", "nearest_neighbour", "shuffled",
)  # fmt: skip
RULES: Final = "rules"
"""The rule-based listener runs as a listener does, from its own past."""
NOTES: Final[dict[str, str]] = {
    GROUND_TRUTH: "The recorded reaction itself, K times: the best that the metrics can give, with no diversity.",
    MIME: "The speaker's own attributes, late by the lag that scores best on this very set, K times.",
    RANDOM: "Uniform noise in 0..1 in every attribute of every frame.",
    MEAN_SEQUENCE: "The mean reaction of the reference split, frame by frame, K times.",
    MEAN_FRAME: "The mean frame of the reference split, held, K times.",
    NEAREST: "The listeners of the K reference speakers whose attributes are nearest.",
    RULES: "The rule-based listener of this package: answers smiles, nods in pauses, blinks; no network.",
    SHUFFLED: "The listener under test while it listened to somebody else: what is scored without listening.",
}

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

    @property
    def draws_seed(self) -> int:
        """Seed of the bootstrap: the same intervals on the page as in the run's own table."""
        return int(self.seeds.get("bootstrap", self.seeds.get("run", 0)))


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
        for system in self.systems:
            for name, values in system.values.items():
                if np.shape(values) != (len(ids),):
                    raise ValueError(f"{name} of {system.name} {np.shape(values)} must be {(len(ids),)}")
            if strange := set(system.streams) - set(ids):
                raise ValueError(f"{system.name} has a stream of an unknown item {min(strange)}")

    def system(self, name: str) -> System:
        """The system of that name. Raises KeyError."""
        return {system.name: system for system in self.systems}[name]

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


@dataclass(frozen=True, slots=True)
class Study:
    """What a study found; every function of `studies` returns one."""

    figures: dict[str, Any]
    """For `--json`."""
    pictures: Mapping[str, Callable[[Path], Path]] = field(default_factory=dict)
    """What draws a picture to a path, by the name of its file."""
    result: Callable[[Info], Result] | None = None
    """The content of a result file under this head, where the study has one."""


FORMAT: Final = "reactdiff-result"
VERSION: Final = 1
HEAD: Final = "result.json"
Kind = TypeVar("Kind")


class ResultError(ReactdiffError):
    """A result file is missing, broken, of a newer version, or cannot be written."""


def versions_here() -> dict[str, str]:
    """Versions of the package and of the libraries that a figure may depend on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from reactdiff_ros import __version__
    from reactdiff_ros.evaluation.bench.machine import commit

    out = {"reactdiff_ros": __version__, "python": platform.python_version()}
    here = commit(Path(__file__).parent)
    if here:
        out["commit"] = here
    for name in ("numpy", "onnxruntime", "numba", "opencv-python-headless"):
        with contextlib.suppress(PackageNotFoundError):
            out[name] = version(name)
    return out


def write_result(result: Result, path: Path, *, overwrite: bool = False) -> Path:
    """Write `result` to `path`, whole or not at all, and return `path`.

    Raises:
        ResultError: the file is there already and `overwrite` is false, or it cannot be written.
    """
    if path.exists() and not overwrite:
        raise ResultError("the result file is there already", where=str(path), todo="name another one, or move it away")
    writer: Any = np.lib.format
    with (
        explained(OSError, "the result cannot be written", where=path, error=ResultError),
        whole_file(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive,
    ):
        head = finite(_head(result))
        archive.writestr(HEAD, json.dumps(head, allow_nan=False, default=str, ensure_ascii=False, indent=1))
        for name, array in _arrays(result):
            with archive.open(name, "w", force_zip64=True) as member:
                writer.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return path


def read_result(path: Path) -> Result:
    """The result in a file that `write_result` made.

    Raises:
        ResultError: it is missing, not a result file, broken, or of a newer version.
    """
    if not path.is_file():
        raise ResultError("there is no such result file", where=str(path), todo="name one that 'evaluate' wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            head = json.loads(archive.read(HEAD).decode("utf-8")) if HEAD in archive.namelist() else None
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise ResultError(
                    "this is not a result of 'reactdiff evaluate'", where=str(path), todo="name one that it wrote"
                )
            if not isinstance(head.get("version"), int) or head["version"] > VERSION:
                raise ResultError(
                    f"the result file is of version {head.get('version')}, this program reads up to {VERSION}",
                    where=str(path), todo="install a newer reactdiff_ros",
                )  # fmt: skip
            return _result(head, archive)
    except OSError as error:
        raise ResultError("the result file cannot be read", where=str(path), todo=reason_of(error)) from error
    except (zipfile.BadZipFile, zlib.error, LookupError, ValueError, TypeError, AttributeError, EOFError, MemoryError,
            RuntimeError) as error:  # fmt: skip
        reason = (str(error) or type(error).__name__).splitlines()[0][:120].strip("'\"")
        what, todo = "this is not a complete result of 'reactdiff evaluate'", f"evaluate again ({reason})"
        raise ResultError(what, where=str(path), todo=todo) from error


def _head(result: Result) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "info": _fields(result.info),
        "items": [{**_fields(i, _ITEM_CURVES), "curves": [c for c in _ITEM_CURVES if getattr(i, c) is not None]}
                  for i in result.items],
        "systems": [
            {
                **_fields(s, (*_SYSTEM_ARRAYS, "values", "streams", "figures")),
                "values": list(s.values),
                "streams": list(s.streams),
                "figures": {name: asdict(figure) for name, figure in s.figures.items()},
            }
            for s in result.systems
        ],
        "metrics": [_fields(m) for m in result.metrics],
    }  # fmt: skip


_ITEM_CURVES: Final = ("speaker", "speech", "truth")
_SYSTEM_ARRAYS: Final = ("compute_s", "lag_s")


def _arrays(result: Result) -> Iterable[tuple[str, NDArray[Any]]]:
    row = {item.id: index for index, item in enumerate(result.items)}
    for index, item in enumerate(result.items):
        for curve in _ITEM_CURVES:
            if getattr(item, curve) is not None:
                yield f"items/{index:05d}/{curve}.npy", np.asarray(getattr(item, curve), dtype=np.float32)
    for system in result.systems:
        base = f"systems/{system.name}"
        for name, values in system.values.items():
            yield f"{base}/values/{name}.npy", np.asarray(values, dtype=np.float64)
        for id_, stream in system.streams.items():
            yield f"{base}/streams/{row[id_]:05d}.npy", np.asarray(stream, dtype=np.float32)
        for name in _SYSTEM_ARRAYS:
            yield f"{base}/{name}.npy", np.asarray(getattr(system, name), dtype=np.float64)


def _result(head: dict[str, Any], archive: zipfile.ZipFile) -> Result:
    items, systems = [], []
    for index, facts in enumerate(head["items"]):
        curves = {c: _array(archive, f"items/{index:05d}/{c}.npy", np.float32) for c in facts.pop("curves")}
        items.append(_known(Item, {**facts, **curves}))
    row = {item.id: index for index, item in enumerate(items)}
    for facts in head["systems"]:
        base = f"systems/{facts['name']}"
        read = {
            "values": {n: _array(archive, f"{base}/values/{n}.npy", np.float64) for n in facts["values"]},
            "streams": {i: _array(archive, f"{base}/streams/{row[i]:05d}.npy", np.float32) for i in facts["streams"]},
            "figures": {
                name: Figure(*(math.nan if figure.get(k) is None else figure[k] for k in ("value", "low", "high")))
                for name, figure in facts["figures"].items()
            },
            **{name: _array(archive, f"{base}/{name}.npy", np.float64) for name in _SYSTEM_ARRAYS},
        }
        systems.append(_known(System, {**facts, **read}))
    metrics = tuple(_known(Metric, facts) for facts in head["metrics"])
    return Result(_known(Info, head["info"]), tuple(items), tuple(systems), metrics)


def _array(archive: zipfile.ZipFile, name: str, kind: Any) -> NDArray[Any]:
    """A member as an array. A head that claims more than the member holds is refused before memory is asked for."""
    data = io.BytesIO(archive.read(name))
    whole = data.getbuffer().nbytes
    files: Any = np.lib.format
    reader = files.read_array_header_1_0 if files.read_magic(data) == (1, 0) else files.read_array_header_2_0
    shape, _, dtype = reader(data)
    if dtype != np.dtype(kind) or math.prod(shape) * dtype.itemsize != whole - data.tell():
        raise ValueError(f"{name} is not what it claims")
    data.seek(0)
    return np.asarray(files.read_array(data, allow_pickle=False))


def _fields(value: Any, without: Iterable[str] = ()) -> dict[str, Any]:
    left_out = set(without)
    return {f.name: getattr(value, f.name) for f in fields(value) if f.name not in left_out}


def _known(kind: type[Kind], facts: dict[str, Any]) -> Kind:
    """A dataclass of the fields in `facts`; lists become tuples, and what a later writer adds is ignored."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in facts.items() if k in names})
