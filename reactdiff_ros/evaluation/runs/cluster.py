"""The same parts on the workers of a Dask scheduler (package `distributed`), for what one machine is too small for.

Every worker needs this package, and sees the recordings and the run's folder under the same paths. Results travel back
and are kept where the run was started. A worker that is lost loses nothing: the scheduler gives its parts to others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.runs.work import Failure, Made, Part, do

CONNECT_S: Final = 20.0
MOST_AGAIN: Final = 100
"""Parts that are given out again because a worker died with their results."""
_GONE: Final = frozenset({"cancelled", "lost"})


def on_cluster(parts: Sequence[Part], address: str) -> Iterator[tuple[Part, Made | Failure]]:
    """Results as they come.

    Raises:
        ReactdiffError: the scheduler cannot be reached, has no workers, or was lost.
        ModuleNotFoundError: `distributed` is not installed.
    """
    from distributed import Client, as_completed

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ReactdiffError(
            "the Dask scheduler cannot be reached", where=address,
            todo="start one with 'dask scheduler' and workers with 'dask worker ADDRESS'",
        ) from error  # fmt: skip
    try:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            raise ReactdiffError(
                "the Dask scheduler has no workers", where=address, todo="start some with 'dask worker ADDRESS'"
            ) from error
        wanted = {client.submit(do, part, key=f"reactdiff-{i}-{id(parts)}", pure=False): part
                  for i, part in enumerate(parts)}  # fmt: skip
        left, again = set(wanted), 0
        coming = as_completed(list(wanted), loop=client.loop)
        for future in coming:
            part = wanted.pop(future)
            left.discard(future)
            if future.status in _GONE and client.status == "running" and again < MOST_AGAIN:
                # Its result was on a worker that died before it was fetched: the part is done once more.
                again += 1
                anew = client.submit(do, part, key=f"reactdiff-again-{again}-{id(parts)}", pure=False)
                wanted[anew] = part
                left.add(anew)
                coming.add(anew)
                continue
            yield part, _result(future, address, len(left))
            future.release()
    finally:
        client.close(timeout=5)


def _result(future: object, address: str, left: int) -> Made | Failure:
    from distributed import Future, KilledWorker

    assert isinstance(future, Future)
    if future.status in _GONE:
        raise ReactdiffError(
            f"the Dask scheduler was lost with {left + 1} parts to do", where=address,
            todo="run again: what was done is kept",
        )  # fmt: skip
    try:
        made: Made | Failure = future.result()
        return made
    except KilledWorker:
        return Failure("every worker that had it at hand died: is there enough memory?")
    except Exception as error:  # a worker without the package, or of another version
        return Failure(f"no worker could do it ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})")
