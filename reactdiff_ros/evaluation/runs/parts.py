"""The parts of a run: done here, in several processes or on a Dask cluster, and stored as soon as they are finished.

A part whose result is stored with the same settings and files is not done again. A worker that dies loses only the
part that it was doing, which another one does again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros import __version__
from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.whole_file import write_arrays

FORMAT: Final = 1
"""Of stored parts: those of another format are not used."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of work. It is plain data, so that it reaches a process on any machine that has the package."""

    name: str
    """Unique in its run; the name of the file that keeps its result."""
    make: Callable[..., Any]
    """A function of a module; called with `arguments`, it returns a `PartResult`."""
    arguments: Mapping[str, Any]
    """JSON values, or dataclasses of them: together with `files` they say whether a kept result still counts."""
    files: tuple[str, ...] = ()
    """Inputs; one that changed measures the part again."""

    def settings(self) -> dict[str, Any]:
        """What the result depends on, as plain JSON: names and values, and size and time of every file."""
        known: dict[str, Any] = {"make": f"{self.make.__module__}:{self.make.__qualname__}"}
        for name, value in self.arguments.items():
            known |= asdict(value) if is_dataclass(value) and not isinstance(value, type) else {name: value}
        files = {name: _stamp(Path(name)) for name in self.files}
        known |= {"files": files, "version": __version__, "format": FORMAT}
        return dict(json.loads(json.dumps(known, sort_keys=True)))


@dataclass(frozen=True, slots=True)
class PartResult:
    """The result of a part."""

    facts: dict[str, Any] = field(default_factory=dict)
    """JSON values."""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What went wrong without ending it, a sentence each."""


def do(part: Part) -> PartResult | str:
    """Do the work. Whatever goes wrong in one part is returned as a sentence: the others are worth having."""
    try:
        result: PartResult = part.make(**part.arguments)
        return result
    except ReactdiffError as error:
        return str(error)
    except ModuleNotFoundError as error:
        return f"a package is not installed where this part ran ({error.name})"
    except Exception as error:
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the settings, and of the files, that differ."""
    names = [n for n in sorted({*before, *now}) if n != "files" and before.get(n) != now.get(n)]
    old, new = before.get("files") or {}, now.get("files") or {}
    return [*names, *(Path(n).name for n in sorted({*old, *new}) if old.get(n) != new.get(n))]


def _stamp(path: Path) -> list[int] | None:
    """Size and time of a file, or of all files of a folder together; None where there is nothing."""
    try:
        if path.is_dir():
            found = [p.stat() for p in sorted(path.rglob("*")) if p.is_file()]
            return [len(found), sum(s.st_size for s in found), max((s.st_mtime_ns for s in found), default=0)]
        known = path.stat()
        return [1, known.st_size, known.st_mtime_ns]
    except OSError:
        return None


_UNREADABLE: Final = (
    OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, RecursionError,
)  # fmt: skip
"""What reading a broken .npz raises."""


class Keep:
    """A folder of results of parts.

    Raises:
        ReactdiffError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritten(folder, error) from error

    def path(self, part: Part) -> Path:
        """The file of a part."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", part.name)
        # Names that differ in other characters only, and very long ones, have a file of their own.
        if plain == part.name and len(plain) <= 100:
            return self.folder / f"{plain}.npz"
        return self.folder / f"{plain[-80:]}-{hashlib.sha256(part.name.encode()).hexdigest()[:16]}.npz"

    def stale(self, part: Part) -> str | None:
        """Why `part` has to be done: "" where nothing is stored. None: its stored result can be used."""
        path = self.path(part)
        if not path.is_file():
            return ""
        try:
            with np.load(path, allow_pickle=False) as file:
                before = json.loads(str(file["about"]))["settings"]
        except _UNREADABLE:
            return "its file cannot be read"
        now = part.settings()
        return None if before == now else f"it was measured with another {', '.join(changed(before, now)) or 'setting'}"

    def save(self, part: Part, result: PartResult) -> None:
        """Keep a result.

        Raises:
            ReactdiffError: it cannot be written (a full disk); what was there before stays.
        """
        path = self.path(part)
        about = json.dumps({"settings": part.settings(), "facts": result.facts, "notes": list(result.notes)})
        try:
            write_arrays(path, {"about": np.array(about), **{f"a_{k}": v for k, v in result.arrays.items()}})
        except OSError as error:
            raise _unwritten(path, error) from error

    def load(self, part: Part, only: tuple[str, ...] | None = None) -> PartResult:
        """The kept result of a part, with all arrays or those named.

        Raises:
            ReactdiffError: it cannot be read.
        """
        return load(self.path(part), only)


def load(path: Path, only: tuple[str, ...] | None = None) -> PartResult:
    """The result in a file of a part.

    Raises:
        ReactdiffError: it cannot be read.
    """
    what, todo = "a kept part of the run cannot be read", "remove it, and run again"
    with explained(_UNREADABLE, what, where=path, todo=todo), np.load(path, allow_pickle=False) as file:
        about: dict[str, Any] = json.loads(str(file["about"]))
        names = [n for n in file.files if n.startswith("a_") and (only is None or n[2:] in only)]
        arrays = {name[2:]: file[name] for name in names}
        found = PartResult(dict(about["facts"]), arrays, tuple(about["notes"]))
    return found


def _unwritten(path: Path, error: OSError) -> ReactdiffError:
    todo = f"{error.strerror or error}; run again to go on"
    return ReactdiffError("a part of the run cannot be kept", where=str(path), todo=todo)


CONNECT_S: Final = 20.0
MOST_AGAIN: Final = 100
"""Parts that are submitted again because a worker died with their results."""
_GONE: Final = frozenset({"cancelled", "lost"})


def on_cluster(parts: Sequence[Part], address: str) -> Iterator[tuple[Part, PartResult | str]]:
    """The same parts on the workers of a Dask scheduler, as they come.

    Every worker needs this package, and sees the recordings and the run's folder under the same paths.

    Raises:
        ReactdiffError: the scheduler cannot be reached, has no workers, or was lost.
        ModuleNotFoundError: `distributed` is not installed.
    """
    from distributed import Client, as_completed

    todo = "start one with 'dask scheduler' and workers with 'dask worker ADDRESS'"
    with explained((OSError, ValueError), "the Dask scheduler cannot be reached", where=address, todo=todo):
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    try:
        todo = "start some with 'dask worker ADDRESS'"
        with explained(TimeoutError, "the Dask scheduler has no workers", where=address, todo=todo):
            client.wait_for_workers(1, timeout=CONNECT_S)
        wanted: dict[Any, Part] = {}

        def submit(part: Part) -> Any:
            future = client.submit(do, part, key=f"reactdiff-{len(wanted)}-{id(parts)}", pure=False)
            wanted[future] = part
            return future

        coming = as_completed([submit(part) for part in parts], loop=client.loop)
        done = again = 0
        for future in coming:
            if future.status in _GONE and client.status == "running" and again < MOST_AGAIN:
                # Its result was on a worker that died before it was fetched: the part is done once more.
                again += 1
                coming.add(submit(wanted[future]))
                continue
            yield wanted[future], _result(future, address, len(parts) - done)
            done += 1
            future.release()
    finally:
        client.close(timeout=5)


def _result(future: Any, address: str, left: int) -> PartResult | str:
    from distributed import KilledWorker

    if future.status in _GONE:
        what = f"the Dask scheduler was lost with {left} parts to do"
        raise ReactdiffError(what, where=address, todo="run again: what was done is kept")
    try:
        result: PartResult | str = future.result()
        return result
    except KilledWorker:
        return "all workers running this part crashed: is there enough memory?"
    except Exception as error:  # a worker without the package, or of another version
        return f"no worker could do it ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"


DEATHS: Final = 3
"""A part is given up when so many processes died while they did it."""


@dataclass(slots=True)
class RunContext:
    """The store, the workers and the callbacks of a run."""

    keep: Keep
    workers: int = 1
    """Processes on this machine."""
    dask: str = ""
    """Address of a Dask scheduler, "tcp://host:8786", whose workers do the parts; "": this machine alone."""
    progress: Callable[[str, float], None] = lambda what, share: None
    """Receives (round, completed fraction)."""
    log: Callable[[str], None] = lambda sentence: None
    """Receives sentences for the user."""


@dataclass(slots=True)
class Outcome:
    """What became of the parts."""

    failed: dict[str, str] = field(default_factory=dict)
    """A sentence for each part that did not work, by name."""
    kept: int = 0
    """How many of the others were stored before."""


def work_off(parts: Sequence[Part], context: RunContext, title: str = "") -> Outcome:
    """Do what is not stored yet of parts whose names are unique; `title`: of the round, for the progress.

    Raises:
        ReactdiffError: the scheduler cannot be reached, or was lost; what was done is stored.
        ModuleNotFoundError: `distributed` is not installed and a scheduler was named.
    """
    keep, log, progress = context.keep, context.log, partial(context.progress, title)
    reasons = {part.name: keep.stale(part) for part in parts}
    for name, reason in reasons.items():
        if reason:
            log(f"{name} is done again: {reason}")
    todo = [part for part in parts if reasons[part.name] is not None]
    outcome = Outcome(kept=len(parts) - len(todo))
    if outcome.kept and todo:
        log(f"reusing {outcome.kept} stored parts of {len(parts)}")
    progress(outcome.kept / max(len(parts), 1))
    results: Iterator[tuple[Part, PartResult | str]] = ((part, do(part)) for part in todo)
    if todo and context.dask:
        results = on_cluster(todo, context.dask)
    elif context.workers > 1 and len(todo) > 1:
        results = in_processes(todo, context.workers)
    for i, (part, result) in enumerate(results):
        if isinstance(result, PartResult):
            try:
                keep.save(part, result)
            except ReactdiffError as error:
                result = str(error)
        if isinstance(result, str):
            outcome.failed[part.name] = result
            log(f"{part.name}: {result}")
        progress((outcome.kept + i + 1) / len(parts))
    return outcome


def in_processes(parts: Sequence[Part], workers: int) -> Iterator[tuple[Part, PartResult | str]]:
    """Results as they come. A part whose process dies is done again by another one, the others are not disturbed."""
    spawn, closing = multiprocessing.get_context("spawn"), Event()
    pools: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
    for _ in range(workers):
        pools.put(ProcessPoolExecutor(1, mp_context=spawn))

    def done(part: Part) -> tuple[Part, PartResult | str]:
        pool = pools.get()
        try:
            for _ in range(DEATHS):
                try:
                    return part, pool.submit(do, part).result()
                except BrokenProcessPool:
                    pool = ProcessPoolExecutor(1, mp_context=spawn)
                    if closing.wait(0.5):  # the user's Ctrl-C ended the process
                        break
            return part, f"its process died {DEATHS} times: is there enough memory for --workers {workers}?"
        finally:
            pools.put(pool)

    threads = ThreadPoolExecutor(workers)
    try:
        for future in as_completed([threads.submit(done, part) for part in parts]):
            yield future.result()
    finally:
        closing.set()
        threads.shutdown(cancel_futures=True)
        while not pools.empty():
            pools.get().shutdown(wait=False)
