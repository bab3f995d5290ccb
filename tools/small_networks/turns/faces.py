"""What the face adds, learnt from simulated speakers: gaze that returns, mouth, breath (sources: docs/simulator.md)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import to_ns
from reactdiff_ros.model.diffusion.tokens import FRAME_S, SpeakerBatch
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.speaker import make_speakers
from reactdiff_ros.turns.cues import FaceCues
from reactdiff_ros.turns.features import PAUSES_S
from reactdiff_ros.types import Gaze, SpeakerFrame
from tools.small_networks.turns.timings import LONGEST_S, SOON_S, Rows, rows_of

Floats = NDArray[np.float64]
FRAMES: Final = 1500


def face_rows(worlds: int, seed: int) -> dict[str, tuple[Rows, Floats]]:
    """Samples of "eot" and "user_starts" with a face, and of each the hinges of the silence so far (N, k)."""
    truth = make_speakers((seed, 91), worlds, FRAMES)
    seen = observe((seed, 92), truth)
    found: dict[str, list[tuple[Any, ...]]] = {"eot": [], "user_starts": []}
    unit = 0
    for world in np.flatnonzero(truth.talk.on.any(1)):
        talk = truth.talk
        on = talk.on[world]
        start, end = talk.start[world][on], talk.end[world][on]
        resume, yields = talk.resume[world][on], talk.yields[world][on]
        cues = FaceCues()
        for t in range(FRAMES):
            cues.see(_frame(seen, int(world), t))
            now_s = (t + 1) * FRAME_S
            i = int(np.searchsorted(end, now_s - 0.2, side="right")) - 1
            if t % 2 or i < 0 or not end[i] + 0.2 <= now_s < resume[i]:
                continue
            values = cues.values(to_ns(now_s))
            if values is None:
                continue
            silence_s = now_s - float(end[i])
            if silence_s <= LONGEST_S:
                found["eot"].append((values, bool(yields[i]), silence_s, world, unit + i))
            soon = bool(((start > now_s) & (start <= now_s + SOON_S)).any())
            found["user_starts"].append((values, soon, silence_s, world, unit + i))
        unit += len(start)
    rows = {name: rows_of(samples) for name, samples in found.items()}
    return {name: (of, np.maximum(of.time_s[:, None] - np.array(PAUSES_S), 0.0)) for name, of in rows.items()}


def _frame(batch: SpeakerBatch, row: int, t: int) -> SpeakerFrame:
    at, stamp = (row, t), to_ns((t + 1) * FRAME_S)
    mesh = bool(batch.mesh[at])
    return SpeakerFrame(
        stamp_ns=stamp, picture_stamp_ns=stamp if batch.camera[at] else None, sound_stamp_ns=None, person_id=0,
        face_present=bool(batch.face[at]), mesh_present=mesh, coefficients=batch.coefficients[at],
        confidence=batch.confidence[at], neutral_confidence=1.0,
        gaze=Gaze(*(float(x) for x in batch.gaze[at])) if batch.gaze_observed[at] and mesh else None,
        position_m=None, affect=None, voice=None,
    )  # fmt: skip
