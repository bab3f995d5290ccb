"""A run that takes a second: few worlds, small networks."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from reactdiff_ros.training.config import Shape, TrainConfig

SHAPE = Shape(
    stream_width=16, width=32, heads=2, encoder_layers=2, window=8, vae_width=8, attribute_width=16, denoiser_layers=2,
    past=8, speech=6, horizon=8, max_lead=8,
)  # fmt: skip
CONFIG = TrainConfig(
    style_seconds=10.0,
    steps=8, vae_steps=4, decoder_steps=4, batch=4, plans=3, draws=2, frames=50, worlds=6, world_frames=150,
    pool_steps=4, checkpoint_steps=3, shape=SHAPE,
)  # fmt: skip


def write_dyads(folder: Path, pairs: int = 3, rows: int = 240) -> Path:
    """Calls in the published form: smiles that come and go."""
    folder.mkdir(parents=True, exist_ok=True)
    t = np.arange(rows) / 30
    for pair in range(pairs):
        for session in ("", "_240p"):
            wave = np.clip(2 * np.sin(t + pair)[:, None] * [1, 0.5], 0, 5)
            columns = {"au12_r": wave, "au06_r": 0.5 * wave, "gaze": np.where(wave > 1, 3, 1)}
            for name, values in columns.items():
                lines = ["Participant_A Participant_B", *(f"{a:g} {b:g}" for a, b in values)]
                (folder / f"s{pair}{session}_{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def config(**changes: object) -> TrainConfig:
    return replace(CONFIG, **changes)
