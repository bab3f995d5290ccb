"""What 40 ms of live time cost: perception, encoder and the share of the plans, on a clip played at its own speed.

One process, the very session of the live graph, paced by the clip's stamps: so that caches and clock rates are those
of a process that mostly waits. Decoding the clip stands for the camera and is not counted, nor is the face's engine.

- perception: pictures and sound that came within the slot of 40 ms; the detector is beside the mesh, on another core.
- encoder: what the listener does with the frames of the slot but for encoding them.
- plans: a plan's time, with that of encoding the frames that waited for it, is spread over the slots until the next
  one, as it is drawn in a thread of its own.
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

from reactdiff_ros.capture.media import ClipItem, MediaClip
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.model.batch import warm
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.replay import Step, steps

GRID: Final = Grid()
WARM_UP_S: Final = 3.0
"""At the beginning, not counted."""
DEADLINE_MS: Final = 40.0
Values = NDArray[np.float64]


class PacedClip:
    """A media file that hands its pictures and sound out when they are due, again and again up to `seconds`.

    Args:
        path: of the file.
        seconds: to play in all.
        timer: seconds of a monotonic clock.
        sleep: waits so many seconds.

    Raises:
        MediaError: the file cannot be read.
    """

    def __init__(
        self, path: Path, seconds: float, timer: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:  # fmt: skip
        self.path, self._clip = path, MediaClip(path)
        self._seconds, self._timer, self._sleep = seconds, timer, sleep

    @property
    def duration_s(self) -> float:
        """As long as it is played."""
        return self._seconds

    @property
    def damaged_packets(self) -> int:
        """Of the file, so far."""
        return self._clip.damaged_packets

    @property
    def has_picture(self) -> bool:
        """Of the file."""
        return self._clip.has_picture

    @property
    def has_sound(self) -> bool:
        """Of the file."""
        return self._clip.has_sound

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        """Each when its time has come."""
        begin = self._timer()
        for item in self._looped():
            wait = item.offset_ns / NS - (self._timer() - begin)
            if wait > 0:
                self._sleep(wait)
            yield item

    def _looped(self) -> Iterator[ClipItem]:
        passed_ns, limit_ns = 0, int(self._seconds * NS)
        while passed_ns < limit_ns:
            last_ns = 0
            for item in self._clip.pictures_and_sound():
                if passed_ns + item.offset_ns >= limit_ns:
                    return
                last_ns = max(last_ns, item.offset_ns)
                yield item._replace(offset_ns=passed_ns + item.offset_ns)
            passed_ns += last_ns + GRID.period_ns
            self._clip = MediaClip(self.path)


def bench_compute(
    clip: Path,
    settings: ReplaySettings,
    timer: Callable[[], float],
    sleep: Callable[[float], None],
    *,
    seconds: float = 60.0,
    told: Callable[[float], bool] = lambda share: True,
) -> dict[str, Any]:
    """Figures as `bench live` prints them, in ms; see `slots` for what they are of.

    Args:
        clip: a media file.
        settings: of the live graph.
        timer: seconds of a monotonic clock.
        sleep: waits so many seconds.
        seconds: counted time, after a warm-up.
        told: is given the share that is done; returns False to stop there.

    Raises:
        MediaError: the clip cannot be read.
    """
    total_s = seconds + WARM_UP_S
    paced = PacedClip(clip, total_s, timer, sleep)
    listener = make_listener(settings.policy, seed=settings.seed, config=settings.listener, timer=timer)
    if isinstance(listener, DiffusionListener):  # as reaction_node does before it becomes active
        how = Sampling(steps=settings.listener.steps, candidates=settings.listener.candidates)
        warm(listener.networks, how, 1)
    done: list[Step] = []
    for step in steps(paced, settings, listener=listener, timer=timer):
        done.append(replace(step, faces=()))
        if not told(min(step.now_ns / NS / total_s, 1.0)):
            break
    state = listener.state()
    return {
        **summary(slots(done), skip=GRID.slot(int(WARM_UP_S * NS))), "seconds": seconds, "policy": listener.name,
        "backend": state.backend, "clip": clip.name,
    }  # fmt: skip


def slots(done: Iterable[Step]) -> dict[str, Values]:
    """Milliseconds of every slot of 40 ms, (T,) each: perception, encoder, plans (spread) and whole plans."""
    rows: dict[int, Values] = defaultdict(lambda: np.zeros(3))
    for step in done:
        drawn_s = sum(reaction.compute_s for reaction in step.reactions)
        rows[GRID.slot(step.now_ns)] += (step.perception_s, max(step.listener_s - drawn_s, 0.0), drawn_s)
    if not rows:
        return {name: np.zeros(0) for name in ("perception", "encoder", "plans", "whole_plans")}
    first, last = min(rows), max(rows)
    table = 1e3 * np.stack([rows[slot] for slot in range(first, last + 1)])
    return {
        "perception": table[:, 0], "encoder": table[:, 1], "plans": spread(table[:, 2]), "whole_plans": table[:, 2],
    }  # fmt: skip


def spread(plans: Values) -> Values:
    """The time of each plan over the slots from its own up to the next plan's."""
    at = np.flatnonzero(plans > 0)
    out = np.zeros_like(plans)
    for begin, end in zip(at, [*at[1:], len(plans)], strict=False):
        out[begin:end] = plans[begin] / (end - begin)
    return out


def summary(of_slots: dict[str, Values], skip: int = 0) -> dict[str, Any]:
    """p50 and p99 of what the slots cost, but for the first `skip`."""
    parts = {name: values[skip:] for name, values in of_slots.items()}
    direct = parts["perception"] + parts["encoder"]
    burst = direct + parts["whole_plans"]
    drawn = parts["whole_plans"][parts["whole_plans"] > 0]
    return {
        "compute_ms": _pair(direct + parts["plans"]),
        "burst_ms": _pair(burst),
        "perception_ms": _pair(parts["perception"]),
        "encoder_ms": _pair(parts["encoder"]),
        "plan_ms": _pair(drawn),
        "plans": len(drawn),
        "slots": len(direct),
        "over_40_ms": int((burst > DEADLINE_MS).sum()),
    }


def _pair(values: Values) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}
