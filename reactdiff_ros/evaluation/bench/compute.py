"""What a clip costs: 40 ms of live time (`bench live`, by stage and function: `bench profile`), a bag (`bench replay`).

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

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.media import ClipItem, ClipPicture, MediaClip, PacedClip
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.evaluation.plots import new_axes, save_figure
from reactdiff_ros.model.batch import warm
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.replay.parameters import ReplaySettings, settings_as_live
from reactdiff_ros.recordings.replay.replay import ReplayBag, Step, Tally, open_recording, replay, steps
from reactdiff_ros.types import OnProgress, Sound, SpeakerFrame

if TYPE_CHECKING:
    from pyinstrument.frame import Frame

GRID: Final = Grid()
WARM_UP_S: Final = 3.0
"""At the beginning, not measured."""
DEADLINE_MS: Final = 40.0
Values = NDArray[np.float64]

PACKAGE: Final = "reactdiff_ros"
PROFILE_WARM_UP_S: Final = 2.0
SAMPLE_S: Final = 0.0005
LATENCY_NS: Final = 25_000_000
STAGES: Final = ("perception", "encoder", "plans")
_SHOWN_SLOTS: Final = 150


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


def _live_listener(settings: ReplaySettings, timer: Callable[[], float]) -> Listener:
    """The listener of the live graph, warmed up as reaction_node does before it becomes active."""
    listener = make_listener(settings.policy, seed=settings.seed, config=settings.listener, timer=timer)
    if isinstance(listener, DiffusionListener):
        warm(listener.networks, Sampling(steps=settings.listener.steps, candidates=settings.listener.candidates), 1)
    return listener


def bench_compute(
    clip: Path,
    settings: ReplaySettings,
    timer: Callable[[], float],
    sleep: Callable[[float], None],
    *,
    seconds: float = 60.0,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
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
    listener = _live_listener(settings, timer)
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
    """p50 and p99 of the cost of the slots, without the first `skip`."""
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


def profile_clip(
    clip: Path,
    settings: ReplaySettings,
    timer: Callable[[], float],
    *,
    seconds: float = 20.0,
    functions: int = 16,
    progress: OnProgress = lambda share: None,
) -> dict[str, Any]:
    """Time each stage on a clip, then run its speaker frames once more through the listener under a profiler.

    Args:
        clip: a media file.
        settings: of the live graph.
        timer: seconds of a monotonic clock.
        seconds: of the clip, at most.
        functions: how many are listed.
        progress: receives the share done, 0..1.

    Returns:
        "slots" (ms of each stage in every slot), "summary", "functions" (`own_times` of the listener) and what it was
        measured on.

    Raises:
        MediaError: the clip cannot be read.
        ModuleNotFoundError: pyinstrument is not installed.
    """
    import pyinstrument

    listener = _live_listener(settings, timer)
    done: list[Step] = []
    for step in steps(MediaClip(clip), settings, listener=listener, timer=timer):
        done.append(step)
        progress(0.6 * min(step.now_ns / NS / seconds, 1.0))
        if step.now_ns > seconds * NS:
            break
    skip = GRID.slot(int(PROFILE_WARM_UP_S * NS))
    stages = slots(done)
    frames = [frame for step in done for frame in step.speaker]
    profiler = pyinstrument.Profiler(interval=SAMPLE_S)
    listener.reset(settings.seed)
    _listen(listener, frames[: len(frames) // 4])
    listener.reset(settings.seed)
    with profiler:
        _listen(listener, frames)
    progress(1.0)
    session = profiler.last_session
    root = None if session is None else session.root_frame()
    return {
        "clip": clip.name, "seconds": seconds, "backend": listener.state().backend, "hardware": hardware(),
        "summary": summary(stages, skip), "slots": {name: stages[name][skip:] for name in (*STAGES, "whole_plans")},
        "functions": [] if root is None else own_times(root)[:functions],
    }  # fmt: skip


def _listen(listener: Listener, frames: list[SpeakerFrame]) -> None:
    for frame in frames:
        listener.observe(frame)
        listener.plan(frame.stamp_ns + LATENCY_NS)


def own_times(root: Frame) -> list[dict[str, Any]]:
    """Share of the whole time that each of our functions took itself, or in libraries that it called, largest first.

    Each is {"function", "where": its file, "in": "itself" or the library, "share"}.
    """
    spent: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    waiting: list[tuple[Frame, tuple[str, str], str]] = [(root, ("", ""), "itself")]
    while waiting:
        frame, owner, library = waiting.pop()
        parts = Path(frame.file_path or "").parts
        installed = parts[parts.index("site-packages") + 1] if "site-packages" in parts else PACKAGE
        if installed != PACKAGE:
            library = installed
        elif PACKAGE in parts:
            place = "/".join(parts[len(parts) - 1 - parts[::-1].index(PACKAGE) :])
            owner, library = (frame.function, place), "itself"
        spent[(*owner, library)] += frame.time - sum(child.time for child in frame.children)
        waiting += [(child, owner, library) for child in frame.children]
    whole = max(root.time, 1e-9)
    ordered = sorted(spent.items(), key=lambda item: -item[1])
    return [
        {"function": name, "where": place, "in": library, "share": round(seconds / whole, 4)}
        for (name, place, library), seconds in ordered
        if name and seconds > 0
    ]


def plot_profile(figures: dict[str, Any], path: Path) -> Path:
    """Stages of each slot stacked, some seconds of them, and the distribution of the sums. Raises ReactdiffError."""
    values = {name: np.asarray(figures["slots"][name]) for name in STAGES}
    figure, axes = new_axes(2)
    count = min(_SHOWN_SLOTS, len(values["encoder"]))
    time_s = np.arange(count) * 0.04
    axes[0, 0].stackplot(time_s, [values[name][:count] for name in STAGES], labels=STAGES, step="post")
    axes[0, 0].axhline(DEADLINE_MS, color="black", linewidth=0.8, linestyle=":")
    axes[0, 0].set(xlabel="time in the clip, s (plans spread over their slots)", ylabel="ms in every 40 ms")
    axes[0, 0].set_ylim(0.0, 1.5 * DEADLINE_MS)
    axes[0, 0].legend(loc="upper right")
    total = np.sum(list(values.values()), axis=0)
    for name, each in {**values, "all": total}.items():
        axes[1, 0].plot(np.sort(each), np.linspace(0.0, 100.0, len(each)), label=name)
    axes[1, 0].set(xlabel="ms in 40 ms", ylabel="% of the slots below", xlim=(0.0, DEADLINE_MS))
    axes[1, 0].legend()
    return save_figure(figure, path)


def bench_replay(
    clip: Path,
    timer: Callable[[], float],
    *,
    seconds: float = 60.0,
    runs: int = 3,
    processes: int = 2,
    policy: str = "model",
    progress: OnProgress = lambda share: None,
) -> dict[str, Any]:
    """Make a bag of JPEG pictures and sound from `clip` and replay it as `reactdiff bag replay BAG -o OUT_BAG` does.

    A run is timed from opening the bag until OUT_BAG is finished, including the start of the second process and the
    loading of the networks, but not Python's own start.

    Args:
        clip: a media file.
        timer: seconds of a monotonic clock.
        seconds: at most this much of the clip.
        runs: the median is reported.
        processes: as the command's.
        policy: who listens.
        progress: receives the share done, 0..1.

    Raises:
        MediaError: the clip cannot be read, or the temporary folder is full.
    """
    settings, parameters = settings_as_live({"policy": policy})
    done: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="reactdiff-") as folder:
        bag = Path(folder) / "bag"
        pictures, size = _make_bag(clip, bag, seconds)
        for run in range(runs):
            begin = timer()
            recording = open_recording(bag, settings)
            tally = Tally()

            def show(at_s: float, run: int = run, tally: Tally = tally) -> bool:
                progress((run + at_s / max(tally.length_s, at_s, 1e-9)) / runs)
                return True

            with ReplayBag(Path(folder) / f"out{run}", recording, settings, parameters) as out:
                replayed = replay(
                    bag, settings, tally=tally, ahead=processes > 1, progress=show, each=out.write, timer=timer
                )
                out.describe(tally, replayed.complete)
            spent, length = timer() - begin, tally.length_s
            done.append(
                {
                    "times_real_time": round(length / spent, 2),
                    "seconds": round(spent, 2),
                    "perception_ms": round(1e3 * float(replayed.perception_s.mean()), 2),
                    "listener_ms": round(1e3 * float(replayed.listener_s.mean()), 2),
                }
            )
    return {
        "times_real_time": median(run["times_real_time"] for run in done),
        "runs": done,
        "clip": clip.name,
        "recording_s": round(length, 2),
        "pictures": pictures,
        "picture_size": list(size),
        "policy": policy,
        "processes": processes,
        "cores": len(os.sched_getaffinity(0)),
        "load_after": round(os.getloadavg()[0], 2),
    }


def _make_bag(clip: Path, bag: Path, seconds: float) -> tuple[int, tuple[int, int]]:
    """Write the bag; returns how many pictures it has and their width and height."""
    count, size = 0, (0, 0)
    with BagWriter(bag) as writer:
        items = MediaClip(clip).pictures_and_sound()
        for item in takewhile(lambda item: item.offset_ns < seconds * NS, items):
            stamp_ns = NS + item.offset_ns  # stamp 0 means that there is none
            if isinstance(item, ClipPicture):
                writer.picture(stamp_ns, item.bgr)
                count, size = count + 1, (item.bgr.shape[1], item.bgr.shape[0])
            else:
                writer.sound(Sound(stamp_ns, item.rate_hz, item.samples))
    return count, size
