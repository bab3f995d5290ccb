"""What 40 ms of live time cost on a clip (`bench live`).

Live time runs in one process, with the very session of the live graph, paced by the clip's stamps: so that caches and
clock rates are those of a process that mostly waits. Decoding the clip replaces the camera and is not measured, nor is
the face's engine.

- perception: pictures and sound of a slot of 40 ms; the detector runs next to the mesh, on another core.
- encoder: what the listener does with the frames of the slot except planning.
- plans: the time of a plan, with that of encoding the frames that waited for it, is spread over the slots until the
  next plan, as it is drawn in its own thread.
- compute: the sum of the three, slot by slot.
- burst: the same with each plan's whole time in the slot in which it is drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.media import ClipItem, MediaClip, PacedClip
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.model.batch import warm
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.replay import Step, steps

GRID: Final = Grid()
WARM_UP_S: Final = 3.0
"""At the beginning, not measured."""
DEADLINE_MS: Final = 40.0
Values = NDArray[np.float64]


class PlayedClip(MediaClip):
    """A media file whose pictures and sound come when they are due, repeated up to `seconds`.

    Args:
        path: of the file.
        seconds: to play in all.
        timer: seconds of a monotonic clock.
        sleep: waits for this many seconds.

    Raises:
        MediaError: the file cannot be read.
    """

    def __init__(self, path: Path, seconds: float, timer: Callable[[], float], sleep: Callable[[float], None]) -> None:
        super().__init__(path)
        self.duration_s = seconds
        self._timer, self._sleep = timer, sleep

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        """Each item when its time has come; of several pictures that are due, the newest, as live."""
        paced, begin_s, limit_ns = PacedClip(MediaClip(self.path), loop=True), self._timer(), int(self.duration_s * NS)
        while (due_ns := paced.next_due_ns) is not None and due_ns < limit_ns:
            wait_s = due_ns / NS - (self._timer() - begin_s)
            if wait_s > 0:
                self._sleep(wait_s)
            passed_ns = int((self._timer() - begin_s) * NS)
            yield from paced.due(min(max(passed_ns, due_ns), limit_ns - 1))


def live_listener(settings: ReplaySettings, timer: Callable[[], float]) -> Listener:
    """The listener of the live graph, warmed up as reaction_node does before it becomes active."""
    listener = make_listener(settings.policy, seed=settings.seed, config=settings.listener, timer=timer)
    if isinstance(listener, DiffusionListener):
        warm(listener.networks, Sampling(steps=settings.listener.steps, candidates=settings.listener.candidates), 1)
    return listener


def bench_compute(
    clip: Path, settings: ReplaySettings, timer: Callable[[], float], sleep: Callable[[float], None], *,
    seconds: float = 60.0, stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # fmt: skip
    """Figures as `bench live` prints them, in ms; see `slots` for what they cover.

    Args:
        clip: a media file.
        settings: of the live graph.
        timer: seconds of a monotonic clock.
        sleep: waits for this many seconds.
        seconds: measured time, after a warm-up.
        stopped: True ends the run early.

    Raises:
        MediaError: the clip cannot be read.
    """
    played = PlayedClip(clip, seconds + WARM_UP_S, timer, sleep)
    listener = live_listener(settings, timer)
    done: list[Step] = []
    for step in steps(played, settings, listener=listener, timer=timer):
        done.append(replace(step, faces=()))
        if stopped():
            break
    return {
        **summary(slots(done), skip=GRID.slot(int(WARM_UP_S * NS))), "seconds": seconds, "policy": listener.name,
        "backend": listener.state().backend, "clip": clip.name,
    }  # fmt: skip


def slots(done: Iterable[Step]) -> dict[str, Values]:
    """Milliseconds of every slot of 40 ms, (T,) each: perception, encoder, plans (spread) and whole plans."""
    rows: dict[int, Values] = defaultdict(lambda: np.zeros(3))
    for step in done:
        drawn_s = sum(reaction.compute_s for reaction in step.reactions)
        rows[GRID.slot(step.now_ns)] += (step.perception_s, max(step.listener_s - drawn_s, 0.0), drawn_s)
    table = 1e3 * np.stack([rows[slot] for slot in range(min(rows), max(rows) + 1)]) if rows else np.zeros((0, 3))
    perception, encoder, plans = table.T
    return {"perception": perception, "encoder": encoder, "plans": spread(plans), "whole_plans": plans}


def spread(plans: Values) -> Values:
    """The time of each plan over the slots from its own up to the next plan's."""
    at = np.flatnonzero(plans > 0)
    out = np.zeros_like(plans)
    for begin, end in zip(at, [*at[1:], len(plans)], strict=False):
        out[begin:end] = plans[begin] / (end - begin)
    return out


def summary(of_slots: dict[str, Values], skip: int = 0) -> dict[str, Any]:
    """p50 and p99 of the cost of the slots, without the first `skip`."""
    perception, encoder, plans, whole = (
        of_slots[name][skip:] for name in ("perception", "encoder", "plans", "whole_plans")
    )
    direct, drawn = perception + encoder, whole[whole > 0]
    burst = direct + whole
    cost = {"compute": direct + plans, "burst": burst, "perception": perception, "encoder": encoder, "plan": drawn}
    counts = {"plans": len(drawn), "slots": len(direct), "over_40_ms": int((burst > DEADLINE_MS).sum())}
    return {f"{name}_ms": _pair(values) for name, values in cost.items()} | counts


def _pair(values: Values) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}
