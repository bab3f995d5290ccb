"""Doing a list of parts: here, in several processes, or on the workers of a Dask scheduler.

Every result is kept as soon as it is there; a part whose result is kept already is not done again. A worker that dies
loses nothing but the part at hand, which another one does again.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.runs.keep import Keep
from reactdiff_ros.evaluation.runs.work import Failure, Made, Part, do

DEATHS: Final = 3
"""A part is given up when so many processes died that had it at hand."""
Doing = Callable[[Sequence[Part]], Iterator[tuple[Part, Made | Failure]]]


@dataclass(slots=True)
class Outcome:
    """What became of the parts."""

    done: list[Part] = field(default_factory=list)
    """Whose results are kept now, in the order of the list."""
    failed: dict[str, str] = field(default_factory=dict)
    """A sentence for each part that did not work, by name."""
    kept: int = 0
    """How many of `done` were there before."""


@dataclass(frozen=True, slots=True)
class Means:
    """With what a list is worked off."""

    workers: int = 1
    """Processes on this machine."""
    dask: str = ""
    """Address of a Dask scheduler, "tcp://host:8786"; "": this machine alone."""


def work_off(
    parts: Sequence[Part],
    keep: Keep,
    means: Means,
    *,
    told: Callable[[float], None] = lambda share: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Outcome:
    """Do what is not kept yet.

    Args:
        parts: names are unique.
        keep: where results are.
        means: processes or machines.
        told: is told the share that is done.
        tell: takes one sentence for the user.

    Raises:
        ReactdiffError: the scheduler cannot be reached, or was lost; what was done is kept.
        ModuleNotFoundError: `distributed` is not installed and a scheduler was named.
    """
    outcome = Outcome()
    there: set[str] = set()
    todo: list[Part] = []
    for part in parts:
        known = keep.look(part)
        if known.there:
            there.add(part.name)
        else:
            todo.append(part)
            if known.why_anew:
                tell(f"{part.name} is done anew: {known.why_anew}")
    outcome.kept = len(there)
    if there and todo:
        tell(f"{len(there)} of {len(parts)} parts are there from before")
    told(len(there) / max(len(parts), 1))
    for i, (part, made) in enumerate(_doing(means)(todo) if todo else ()):
        sentence = made.sentence if isinstance(made, Failure) else _save(keep, part, made)
        if sentence:
            outcome.failed[part.name] = sentence
            tell(f"{part.name}: {sentence}")
        else:
            there.add(part.name)
        told((outcome.kept + i + 1) / len(parts))
    outcome.done = [part for part in parts if part.name in there]
    return outcome


def _save(keep: Keep, part: Part, made: Made) -> str:
    try:
        keep.save(part, made)
    except ReactdiffError as error:
        return str(error)
    return ""


def _doing(means: Means) -> Doing:
    if means.dask:
        from reactdiff_ros.evaluation.runs.cluster import on_cluster

        return lambda parts: on_cluster(parts, means.dask)
    if means.workers > 1:
        return lambda parts: in_processes(parts, means.workers) if len(parts) > 1 else here(parts)
    return here


def here(parts: Sequence[Part]) -> Iterator[tuple[Part, Made | Failure]]:
    """Results one after another, in this process."""
    for part in parts:
        yield part, do(part)


def in_processes(
    parts: Sequence[Part], workers: int, work: Callable[[Part], Made | Failure] = do
) -> Iterator[tuple[Part, Made | Failure]]:
    """Results as they come. When a process dies, its pool is made anew and what it had at hand is done again."""
    waiting = list(parts)
    deaths = {part.name: 0 for part in parts}
    while waiting:
        alone = any(deaths[part.name] for part in waiting[:1])
        pool = ProcessPoolExecutor(1 if alone else workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            yield from _until_one_dies(pool, waiting, deaths, work, 1 if alone else workers)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for part in [p for p in waiting if deaths[p.name] >= DEATHS]:
            waiting.remove(part)
            yield part, Failure(f"its process died {DEATHS} times: is there enough memory for --workers {workers}?")


def _until_one_dies(
    pool: ProcessPoolExecutor,
    waiting: list[Part],
    deaths: dict[str, int],
    work: Callable[[Part], Made | Failure],
    at_once: int,
) -> Iterator[tuple[Part, Made | Failure]]:
    """Takes from `waiting` what is done; only as many parts as there are processes are at hand at a time."""
    at_hand: dict[Future[Made | Failure], Part] = {}
    queue = iter(list(waiting))
    suspects_alone = at_once == 1

    def fill() -> None:
        while len(at_hand) < at_once and (part := next(queue, None)) is not None:
            at_hand[pool.submit(work, part)] = part

    try:
        fill()
        while at_hand:
            finished, _ = wait(at_hand, return_when=FIRST_COMPLETED)
            for future in finished:
                made = future.result()
                part = at_hand.pop(future)
                waiting.remove(part)
                yield part, made
                if suspects_alone and deaths[part.name]:
                    return  # the others may go side by side again
            fill()
    except BrokenProcessPool:
        for part in at_hand.values():
            deaths[part.name] += 1
        # Whoever was at hand goes on its own, so that only what kills its process is blamed again.
        waiting.sort(key=lambda p: -deaths[p.name])


def describe(means: Means) -> dict[str, Any]:
    """For a result's head."""
    return {"workers": means.workers, "dask": bool(means.dask)}
