"""Figures of the live bench: what the running graph costs and how fast its face answers, from stamps alone.

Definitions, all over the counted window (see `bench live` in docs/benchmarks.md):

- publication time: the source timestamp that DDS puts on a message when it is published, on the same machine and clock
  as the capture stamps; so the bench's own scheduling has no effect.
- latency_ms: for each camera picture captured in the window, the publication time of the first ExpressionFrame whose
  `picture_stamp` is that picture's capture stamp or a later one, minus that stamp.
- reaction_ms: the same through `reaction_picture_stamp`, that is through the listener's plan. None if there is none.
- stages_ms: capture = publication of the picture minus its capture stamp; perception = publication of the SpeakerFrame
  minus that of the picture it consumed; reaction = publication of the Reaction minus that of the SpeakerFrame with the
  same picture; expression = publication of the first ExpressionFrame with at least the Reaction's picture, minus that
  of the Reaction.
- rates_hz: (messages - 1) / (last - first publication), by topic.
- dropped: what the nodes report as dropped (malformed, late, overrun) by topic, and pictures that no SpeakerFrame
  consumed.
- deadline_misses: gaps of more than 40 ms between publications of listener/expression; missed_deadlines: the same with
  the number of gaps there were, and their share.
- compute: what 40 ms of live time cost in perception, encoder and plans, from a separate run, see `bench.compute`.
- cpu_cores: CPU time of all node processes and their children over wall time; cores: the same by node; rss_mb: their
  summed proportional set size at the end of the window, in 10^6 bytes. None includes the bench itself.
- visitor, where the camera is that of a page: pictures that the page sent and dropped, chunks of sound that it sent and
  that were lost on the way; face_ms: from the capture of a picture to the time when a face that rests on it can be
  drawn in the same page; cores: of the browser. stages_ms.capture then begins at the browser's capture.
- speech, where the robot speaks: see `bench.speech`.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.types import Sound

PICTURES, SPEAKER = "camera/image_raw/compressed", "speaker/frame"
REACTION, EXPRESSION = "listener/reaction", "listener/expression"
COUNTED_TOPICS = (PICTURES, "audio", SPEAKER, "gaze_target", REACTION, EXPRESSION)
DEADLINE_NS = 40_000_000
TAIL_NS = NS
"""Recording continues for this long after the window, until the last pictures are answered."""
WARM_UP_S = 3.0


@dataclass
class Recording:
    """Publication times and stamps of one run, ns on the machine's clock, each list in order of arrival.

    A stamp of 0 means that no picture was consumed.
    """

    published: dict[str, list[int]] = field(default_factory=lambda: {t: [] for t in COUNTED_TOPICS})
    pictures: list[tuple[int, int]] = field(default_factory=list)
    """(publication, capture stamp)"""
    speaker: list[tuple[int, int]] = field(default_factory=list)
    """(publication, picture stamp)"""
    reactions: list[tuple[int, int]] = field(default_factory=list)
    """(publication, picture stamp)"""
    expressions: list[tuple[int, int, int]] = field(default_factory=list)
    """(publication, picture stamp, reaction picture stamp)"""
    jaws: list[tuple[int, float]] = field(default_factory=list)
    """(publication of a face, its jawOpen)"""
    voice: list[Sound] = field(default_factory=list)
    """The robot's own, stamped with when it is heard."""


def answers(stamps: Sequence[int], influenced: Sequence[tuple[int, int]]) -> list[float]:
    """Milliseconds from each of `stamps` to the first publication that carries it or a later one.

    Args:
        stamps: capture stamps, ns.
        influenced: (publication, newest consumed stamp), ns; 0 = none consumed.

    Returns:
        One value for each stamp that was answered, in the order of `stamps`.
    """
    firsts: list[tuple[int, int]] = []  # (newest stamp so far, publication that brought it): both rise
    for publication, stamp in sorted(influenced):
        if stamp > 0 and (not firsts or stamp > firsts[-1][0]):
            firsts.append((stamp, publication))
    keys = [stamp for stamp, _ in firsts]
    result = []
    for stamp in stamps:
        i = bisect.bisect_left(keys, stamp)
        if i < len(firsts):
            result.append((firsts[i][1] - stamp) / 1e6)
    return result


def spread(values: Sequence[float]) -> dict[str, float | int] | None:
    """p50, p95 and p99 to a tenth, and the number of values; None without any."""
    if not values:
        return None
    p50, p95, p99 = (round(float(p), 1) for p in np.percentile(np.asarray(values, dtype=np.float64), (50, 95, 99)))
    return {"p50": p50, "p95": p95, "p99": p99, "n": len(values)}


def rate_hz(times: Sequence[int]) -> float | None:
    """Events a second between the first and the last; None with fewer than two."""
    if len(times) < 2 or max(times) == min(times):
        return None
    return round((len(times) - 1) * NS / (max(times) - min(times)), 2)


def gaps_over(times: Sequence[int]) -> int:
    """How many gaps between consecutive times are longer than the deadline."""
    return sum(b - a > DEADLINE_NS for a, b in itertools.pairwise(sorted(times)))


def missed(times: Sequence[int]) -> dict[str, float | int]:
    """How many of the gaps between consecutive times are longer than the deadline, and their share."""
    count, of = gaps_over(times), max(len(times) - 1, 0)
    return {"count": count, "of": of, "share": round(count / of, 5) if of else 0.0}


def stages(recording: Recording, begin_ns: int, end_ns: int) -> dict[str, dict[str, float | int] | None]:
    """The way of the pictures captured in the window, stage by stage."""
    inside = [(p, s) for p, s in recording.pictures if begin_ns <= s < end_ns]
    speaker_at: dict[int, int] = {}
    for published, stamp in sorted(recording.speaker):
        speaker_at.setdefault(stamp, published)
    reactions = [(p, s) for p, s in recording.reactions if begin_ns <= s < end_ns]
    shown = sorted((p, r) for p, _, r in recording.expressions)
    steps: dict[str, list[float]] = {
        "capture": [(p - s) / 1e6 for p, s in inside],
        "perception": [(speaker_at[s] - p) / 1e6 for p, s in inside if s in speaker_at],
        "reaction": [(p - speaker_at[s]) / 1e6 for p, s in reactions if s in speaker_at],
        "expression": [],
    }
    for published, stamp in reactions:
        later = shown[bisect.bisect_left(shown, (published, 0)) :]
        first = next((p for p, r in later if r >= stamp), None)
        if first is not None:
            steps["expression"].append((first - published) / 1e6)
    return {name: spread(values) for name, values in steps.items()}


def summary(
    recording: Recording, begin_ns: int, end_ns: int, *, dropped: Mapping[str, int], cores: Mapping[str, float],
    rss_mb: float, load_before: float,
) -> dict[str, Any]:  # fmt: skip
    """The figures of one run, as `reactdiff bench live --json` prints them."""
    captured = [s for _, s in recording.pictures if begin_ns <= s < end_ns]
    in_window = {t: [p for p in ps if begin_ns <= p < end_ns] for t, ps in recording.published.items()}
    consumed = {s for _, s in recording.speaker}
    drops = Counter({PICTURES: sum(s not in consumed for s in captured)})
    for topic, count in dropped.items():
        drops[topic] = max(drops[topic], count)
    return {
        "latency_ms": spread(answers(captured, [(p, s) for p, s, _ in recording.expressions])),
        "reaction_ms": spread(answers(captured, [(p, s) for p, _, s in recording.expressions])),
        "stages_ms": stages(recording, begin_ns, end_ns),
        "rates_hz": {topic: rate_hz(times) for topic, times in in_window.items()},
        "dropped": dict(drops),
        "deadline_misses": gaps_over(in_window[EXPRESSION]),
        "missed_deadlines": missed(in_window[EXPRESSION]),
        "cpu_cores": round(sum(cores.values()), 3),
        "cores": {node: round(share, 3) for node, share in cores.items()},
        "rss_mb": round(rss_mb, 1),
        "seconds": round((end_ns - begin_ns) / NS, 2),
        "load_before": round(load_before, 2),
    }


def median_run(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The run whose median latency is the median of the runs' (the lower one of two); runs without one come last."""

    def key(run: dict[str, Any]) -> float:
        latency = run["latency_ms"]
        return math.inf if latency is None else float(latency["p50"])

    return sorted(runs, key=key)[(len(runs) - 1) // 2]
