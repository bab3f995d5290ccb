"""`bench replay`: how many times faster than real time a bag is replayed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from statistics import median
from typing import Any

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from reactdiff_ros.recordings.replay.replay import ReplayBag, Tally, open_recording, replay
from reactdiff_ros.types import OnProgress, Sound


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
                how: dict[str, Any] = {"tally": tally, "ahead": processes > 1, "progress": show, "each": out.write}
                replayed = replay(bag, settings, **how, timer=timer)
                out.describe(tally, replayed.complete)
            spent, length = timer() - begin, tally.length_s
            perception_s, listener_s = (float(s.mean()) for s in (replayed.perception_s, replayed.listener_s))
            done.append({
                "times_real_time": round(length / spent, 2), "seconds": round(spent, 2),
                "perception_ms": round(1e3 * perception_s, 2), "listener_ms": round(1e3 * listener_s, 2),
            })  # fmt: skip
    return {
        "times_real_time": median(run["times_real_time"] for run in done), "runs": done, "clip": clip.name,
        "recording_s": round(length, 2), "pictures": pictures, "picture_size": list(size), "policy": policy,
        "processes": processes, "cores": len(os.sched_getaffinity(0)), "load_after": round(os.getloadavg()[0], 2),
    }  # fmt: skip


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
