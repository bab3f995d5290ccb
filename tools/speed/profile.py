"""`bench profile`: what a clip costs by stage, and by function of the listener."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.evaluation.bench.compute import DEADLINE_MS, GRID, live_listener, slots, summary
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.evaluation.plots import new_axes, save_figure
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.replay import Step, steps
from reactdiff_ros.types import OnProgress, SpeakerFrame

if TYPE_CHECKING:
    from pyinstrument.frame import Frame

PACKAGE: Final = "reactdiff_ros"
WARM_UP_S: Final = 2.0
"""At the beginning, not measured."""
SAMPLE_S: Final = 0.0005
LATENCY_NS: Final = 25_000_000
STAGES: Final = ("perception", "encoder", "plans")
_SHOWN_SLOTS: Final = 150
_FUNCTIONS: Final = 16


def profile_clip(
    clip: Path,
    settings: ReplaySettings,
    timer: Callable[[], float],
    *,
    seconds: float = 20.0,
    progress: OnProgress = lambda share: None,
) -> dict[str, Any]:
    """Time each stage on a clip, then run its speaker frames once more through the listener under a profiler.

    Args:
        clip: a media file.
        settings: of the live graph.
        timer: seconds of a monotonic clock.
        seconds: of the clip, at most.
        progress: receives the share done, 0..1.

    Returns:
        "slots" (ms of each stage in every slot), "summary", "functions" (`own_times` of the listener) and what it was
        measured on.

    Raises:
        MediaError: the clip cannot be read.
        ModuleNotFoundError: pyinstrument is not installed.
    """
    import pyinstrument

    listener = live_listener(settings, timer)
    done: list[Step] = []
    for step in steps(MediaClip(clip), settings, listener=listener, timer=timer):
        done.append(step)
        progress(0.6 * min(step.now_ns / NS / seconds, 1.0))
        if step.now_ns > seconds * NS:
            break
    skip = GRID.slot(int(WARM_UP_S * NS))
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
        "functions": [] if root is None else own_times(root)[:_FUNCTIONS],
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
