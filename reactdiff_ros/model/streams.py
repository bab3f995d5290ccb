"""Many listeners at once, each continuing from its own past only, on the exported graphs.

What the live listener does for one person, here for any number of them, without engagement and evidence: plans start
every `hop` frames. Streams are worked off in chunks, so memory does not grow with their number.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal, overload

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.diffusion.sampler import Conditions, Sampling
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.plan.corrections import LOOKAHEAD
from reactdiff_ros.model.plan.planner import Planner
from reactdiff_ros.model.speaker.grid import Reader
from reactdiff_ros.types import FloatArray

SPEAKERS: Final = 64
"""Speakers who are read and encoded at a time."""
LISTENERS: Final = 16
"""Listeners who are drawn together, by one thread: more are no faster, and leave threads idle at the end."""
FEW: Final = 4
"""Speakers up to whom whole sequences are encoded in less time than frame after frame of all."""


def speaker_tokens(networks: Networks, speaker: SpeakerBatch) -> FloatArray:
    """What listeners know of S speakers over T frames, as live: tokens and, last, how broad a smile is
    or just was (S, T, D + 1).
    """
    count, frames = speaker.camera.shape
    out = np.empty((count, frames, networks.shape["width"] + 1), dtype=np.float32)
    if count <= FEW:
        reader = Reader(count)
        steps = [reader.step(speaker.at(t)) for t in range(frames)]
        features, observed, out[..., -1] = (np.stack([step[i] for step in steps], axis=1) for i in range(3))
        out[..., :-1] = networks.encode_sequence(features, observed)
        return out
    for first in range(0, count, SPEAKERS):
        rows = slice(first, min(first + SPEAKERS, count))
        batch = speaker.take(np.arange(rows.start, rows.stop))
        reader, cache = Reader(rows.stop - rows.start), networks.new_cache(rows.stop - rows.start)
        for t in range(frames):
            features, observed, out[rows, t, -1] = reader.step(batch.at(t))
            out[rows, t, :-1], new = networks.encode(features, observed, cache.past())
            cache.push(new)
    return out


@overload
def free_run(
    networks: Networks, tokens: FloatArray, conditions: Conditions, *, speaker_of: NDArray[np.integer[Any]],
    seeds: NDArray[np.integer[Any]], how: Sampling, first: int = 0, shown: FloatArray | None = None, workers: int = 1,
    chunk: int = LISTENERS, plans: Literal[False] = False,
) -> FloatArray: ...  # fmt: skip
@overload
def free_run(
    networks: Networks, tokens: FloatArray, conditions: Conditions, *, speaker_of: NDArray[np.integer[Any]],
    seeds: NDArray[np.integer[Any]], how: Sampling, first: int = 0, shown: FloatArray | None = None, workers: int = 1,
    chunk: int = LISTENERS, plans: Literal[True],
) -> tuple[FloatArray, FloatArray]: ...  # fmt: skip
def free_run(
    networks: Networks,
    tokens: FloatArray,
    conditions: Conditions,
    *,
    speaker_of: NDArray[np.integer[Any]],
    seeds: NDArray[np.integer[Any]],
    how: Sampling,
    first: int = 0,
    shown: FloatArray | None = None,
    workers: int = 1,
    chunk: int = LISTENERS,
    plans: bool = False,
) -> FloatArray | tuple[FloatArray, FloatArray]:
    """Coefficients (N, T, 58) of N listeners, as they are shown.

    Args:
        networks: the exported graphs; several calls may use them at once.
        tokens: (S, T, D + 1) of `speaker_tokens`.
        conditions: of the N listeners.
        speaker_of: (N,) which speaker each listener listens to.
        seeds: (N,) of their noise; the same seed is the same noise.
        how: steps, guidance, hop and so on.
        first: the frame at which the first plan starts; the face is neutral before.
        shown: (N, n, 58) what they showed before `first`, if not a neutral face.
        workers: threads.
        chunk: listeners that are drawn together, by one thread; other numbers change the rounding.
        plans: return (coefficients, plans) instead, plans being (N, P, horizon, 58) as decoded, before they are blended
            and bounded: plan i starts at frame first + i * hop.

    Raises:
        ValueError: hop or block do not fit the horizon.
    """
    horizon = networks.shape["horizon"]
    if not 1 <= how.hop <= horizon or how.block < 1 or horizon % how.block:
        raise ValueError(f"hop {how.hop} and block {how.block} do not fit a horizon of {horizon} frames")
    count, frames = len(seeds), tokens.shape[1]
    starts = range(first, frames, how.hop)
    out = np.zeros((count, frames, COEFFICIENT_COUNT), dtype=np.float32)
    raw = np.empty((count, len(starts), horizon, COEFFICIENT_COUNT), dtype=np.float32) if plans else None
    wanted = horizon if plans else min(how.hop + (LOOKAHEAD if how.blend else 0), horizon)

    def run(row: int) -> None:
        rows = np.arange(row, min(row + chunk, count))
        planner = Planner(networks, [int(seed) for seed in seeds[rows]], how)
        if shown is not None:
            planner.begin(first, shown[rows])
        asked = conditions.take(rows)
        for i, start in enumerate(starts):
            newest = start - 1 - how.lead - asked.late
            speaker, missing, broad = heard(tokens, speaker_of[rows], newest, networks.ages)
            draft = planner.draft(start, speaker, missing, asked, lead=how.lead, frames=wanted, broad=broad)
            plan = planner.plan(draft)
            stop = min(start + how.hop, frames)
            out[rows, start:stop] = plan.shown[:, 0, : stop - start]
            if raw is not None:
                raw[rows, i] = plan.faces[:, 0]

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        list(pool.map(run, range(0, count, chunk)))
    return out if raw is None else (out, raw)


def heard(
    tokens: FloatArray, speaker_of: NDArray[np.integer[Any]], newest: NDArray[np.integer[Any]], ages: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What N listeners have heard: tokens (N, S, D), which are missing (N, S), and broad smiles (N,).

    Args:
        tokens: (S, T, D + 1) of `speaker_tokens`.
        speaker_of: (N,) which speaker each listener listens to.
        newest: (N,) frames; what is before frame 0 is missing.
        ages: (S,) frames before the newest, oldest first, the last being 0.
    """
    at = newest[:, None] - ages
    known = (at >= 0).astype(np.float32)
    found = tokens[speaker_of[:, None], np.maximum(at, 0)] * known[..., None]
    return found[..., :-1], 1 - known, found[:, -1, -1]
