"""A small made-up result: speakers who smile and talk, one listener who answers, baselines and the control."""

import numpy as np

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.evaluation.results import Figure, Info, Item, Result, System

RATE = 25
SMILE_EVERY_S, NOD_EVERY_S = 10.0, 15.0


def face(
    seconds: float, *, smile_at: float = 2.0, smile: float = 0.6, nod_at: float | None = None, blink: bool = False
) -> np.ndarray:
    """(T, 58): a smile of 1.6 s every 10 s from `smile_at`, a nod every 15 s from `nod_at`, blinks every 4 s."""
    t = np.arange(round(seconds * RATE)) / RATE
    out = np.zeros((len(t), 58), dtype=np.float32)
    inside = (t - smile_at) % SMILE_EVERY_S
    out[:, list(SMILE)] = (smile * np.sin(np.pi * np.clip(inside / 1.6, 0, 1)) ** 2)[:, None]
    out[:, INDEX["headYaw"]] = 0.02 * np.sin(0.7 * t)
    if nod_at is not None:
        inside = (t - nod_at) % NOD_EVERY_S
        out[:, HEAD_PITCH] = 0.05 * np.sin(3 * np.pi * inside) * (inside < 1)
    if blink:
        out[:, list(BLINK)] = (np.arange(len(t)) % 100 < 5)[:, None]
    return out


def small_result(items: int = 3, seconds: float = 240.0) -> Result:
    """One item has a recorded listener, one a gap; the first listener is late by 0.8 s and blinks."""
    rng = np.random.default_rng(5)
    names = [f"talk/{index + 1} ä" for index in range(items)]
    speech = ((np.arange(round(seconds * RATE)) // 100) % 2).astype(np.float32)
    speakers = [face(seconds, smile_at=2.0 + index) for index in range(items)]
    speakers[1][50:60] = np.nan
    truth = face(seconds, smile_at=3.0, nod_at=4.0, blink=True)
    listed = tuple(
        Item(n, seconds, group=f"p{i}", speaker=speakers[i], speech=speech, truth=None if i else truth)
        for i, n in enumerate(names)
    )
    streams = {n: face(seconds, smile_at=2.8 + i, nod_at=5.0 + i, blink=True) for i, n in enumerate(names)}
    still = {n: face(seconds, smile=0.0) for n in names}
    systems = (
        System(
            "model", "listener", "Our model", "Under test.",
            values={"FRC": 0.5 + 0.01 * np.arange(items), "FRD": np.full(items, 5.0), "own_ms": rng.random(items)},
            figures={"FRDvs": Figure(0.03, 0.02, 0.05)}, streams=streams, look_ahead_s=0.0, causal=True,
            compute_s=rng.lognormal(-4.4, 0.3, 500), lag_s=rng.lognormal(-2.0, 0.2, 500),
        ),
        System(
            "shuffled", "control", "Shuffled speaker", streams={names[0]: streams[names[-1]]},
            values={"FRC": 0.2 + 0.02 * np.arange(items), "FRD": 5.0 + 0.1 * (-1.0) ** np.arange(items)},
        ),
        System("mime", values={"FRC": 0.9 + 0.01 * np.arange(items)}),
        System("still", values={"FRC": np.zeros(items)}, streams=still, note="Does <nothing> & smiles not."),
    )  # fmt: skip
    info = Info(
        "recordings", "People talk", subject="model", data="made up", people=True, created="2026-01-01T00:00:00Z",
        seeds={"run": 1}, versions={"reactdiff_ros": "x"}, failed=("talk 9: there is no face in it",),
    )  # fmt: skip
    return Result(info, listed, systems)
