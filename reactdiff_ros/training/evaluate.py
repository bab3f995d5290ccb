"""Free-running evaluation on simulated dyads that the model has not seen, beside the simulator's own listener."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, INDEX
from reactdiff_ros.model.sampler import blend, smooth
from reactdiff_ros.model.tokens import featurize

from .events import FRAME_S, FloatArray
from .nets import VAE_CONTEXT, Model
from .sampling import sample
from .simulator import Dyads, simulate
from .speakers import NOISY, QUIET, SLOW
from .train import control_vector
from .voice_bank import VoiceBank

SMILE = INDEX["mouthSmileLeft"]
HOP = 4


@dataclass(frozen=True, slots=True)
class RollOut:
    """How the free run is sampled."""

    steps: int = 5
    guidance: float = 2.0
    lead: int = 1
    recall: int = 4
    """Frames of its own past that the listener is shown."""
    seed: int = 0


def roll_out(model: Model, dyads: Dyads, how: RollOut, speakers: NDArray[np.int64] | None = None) -> FloatArray:
    """The model's listener (B, T, 58) for every speaker, continued from its own past alone.

    `speakers` (B,) gives each listener the speaker of another world (to measure speaker reliance).
    """
    shape = model.shape
    features, observed = (torch.from_numpy(a) for a in featurize(dyads.speaker))
    with torch.no_grad():
        tokens = torch.cat([model.encoder(f[None], o[None]) for f, o in zip(features, observed, strict=True)])
    if speakers is not None:
        tokens = tokens[torch.from_numpy(speakers)]
    worlds, frames = tokens.shape[:2]
    before = shape.past + VAE_CONTEXT
    shown = torch.zeros(worlds, before + frames + shape.horizon, COEFFICIENT_COUNT)
    generator = torch.Generator().manual_seed(how.seed)
    tape = torch.randn(worlds, frames + shape.horizon, shape.latent, generator=generator)
    controls = control_vector(
        torch.from_numpy(dyads.controls),
        torch.ones(worlds, shape.controls),
        torch.full((worlds,), how.lead, dtype=torch.long),
        shape,
    )
    for start in range(0, frames, HOP):
        plan = _plan(model, tokens, shown[:, start : start + before], tape, controls, start, how)
        there = slice(before + start, before + start + shape.horizon)
        shown[:, there] = blend(plan, shown[:, there]) if start else plan
    return np.asarray(shown[:, before : before + frames].numpy())


@torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
def _plan(
    model: Model,
    tokens: torch.Tensor,
    shown: torch.Tensor,
    tape: torch.Tensor,
    controls: torch.Tensor,
    start: int,
    how: RollOut,
) -> torch.Tensor:
    shape = model.shape
    worlds = len(tokens)
    past = model.vae.encode(shown)[:, VAE_CONTEXT:]
    ages = start - 1 - how.lead + torch.arange(1 - shape.speech, 1)
    speaker = tokens[:, ages.clamp(min=0)] * (ages >= 0)[:, None]
    context = model.denoiser.context(speaker, past, controls)
    mask = torch.zeros(worlds, 1 + shape.speech + shape.past)
    mask[:, 1 : 1 + shape.speech] = torch.where(ages < 0, -1e4, 0.0)
    mask[:, 1 + shape.speech : 1 + shape.speech + shape.past - how.recall] = -1e4
    blind = mask.clone()
    blind[:, 1 : 1 + shape.speech] = -1e4

    def velocity(z: torch.Tensor, angle: float) -> torch.Tensor:
        level = torch.full((worlds,), angle)
        guided = model.denoiser.velocity(z, level, context, mask)
        if how.guidance == 1.0:
            return guided
        free = model.denoiser.velocity(z, level, context, blind)
        return free + how.guidance * (guided - free)

    latents = sample(velocity, tape[:, start : start + shape.horizon], how.steps)
    faces: torch.Tensor = model.vae.decode(torch.cat([past[:, -VAE_CONTEXT:], latents], 1))[:, VAE_CONTEXT:]
    edge = faces[:, -1:]
    faces = smooth(torch.cat([shown[:, -2:], faces, edge, edge], 1))
    faces[..., :52] = faces[..., :52].clamp(0, 1)
    return faces


def nods_per_minute(pitch: FloatArray, threshold_rad: float = 0.026) -> float:
    """Nods a minute in head pitch (B, T): dips of over 1.5 degrees below the mean of a second, 1.2 s apart."""
    kernel = np.ones(25) / 25
    count = 0
    for row in pitch:
        dips = row - np.convolve(row, kernel, "same") > threshold_rad
        onsets = np.flatnonzero(np.diff(dips.astype(int)) == 1)
        count += int((np.diff(onsets, prepend=-100) > 30).sum())
    return count / (pitch.size * FRAME_S / 60) if pitch.size else float("nan")


def coupling(speaker: FloatArray, listener: FloatArray) -> float:
    """Mean correlation of two smile curves (B, T) at speaker-to-listener lags of 0.3 to 1.2 s, where both move."""
    values = []
    for s, x in zip(speaker, listener, strict=True):
        if s.std() < 0.03:
            continue
        for lag in (8, 14, 20, 30):
            a, b = s[:-lag], x[lag:]
            values.append(float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-3 else 0.0)
    return float(np.mean(values)) if values else float("nan")


def smile_lag_s(speaker: FloatArray, listener: FloatArray) -> tuple[float, float]:
    """Median lag from the speaker's smile onset (0.15) to the listener's (0.12), and the share answered in 1.5 s."""
    lags, onsets = [], 0
    for s, x in zip(speaker, listener, strict=True):
        for t in np.flatnonzero((s[:-1] < 0.15) & (s[1:] >= 0.15)):
            if t + 38 >= len(s) or x[t] > 0.12 or s[t + 1 : t + 20].max() < 0.3:
                continue
            onsets += 1
            after = np.flatnonzero(x[t : t + 38] > 0.12)
            if len(after):
                lags.append(after[0] * FRAME_S)
    return (float(np.median(lags)) if lags else float("nan")), len(lags) / max(onsets, 1)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def describe(dyads: Dyads, listener: FloatArray) -> dict[str, float]:
    """What a listener (B, T, 58) does in these dyads."""
    seen = dyads.speaker.camera.mean(1) * dyads.truth.present.mean(1) > 0.95
    smile, speaker = listener[..., SMILE], dyads.truth.smile
    talks = (dyads.truth.kind <= SLOW) & (seen | (dyads.speaker.microphone.mean(1) > 0.95))
    still = (dyads.truth.kind == NOISY) | (dyads.truth.kind == QUIET)
    calm = still & (speaker.max(1) < 0.05)
    pitch = listener[..., HEAD_PITCH]
    lag, answered = smile_lag_s(speaker[seen], smile[seen])
    second = np.abs(np.diff(listener[..., :52], 2, axis=1)).mean((0, 2))
    border = np.arange(len(second)) % HOP >= HOP - 2
    return {
        "smile_coupling": coupling(speaker[seen], smile[seen]),
        "smile_when_speaker_smiles": _mean(smile[seen][speaker[seen] > 0.4]),
        "smile_when_not": _mean(smile[seen][speaker[seen] < 0.02]),
        "smile_lag_s": lag,
        "smile_answered": answered,
        "smile_deviation": float(smile.std()),
        "brow_deviation": float(listener[..., INDEX["browOuterUpRight"]].std()),
        "pitch_deviation_rad": float(pitch.std()),
        "nods_per_minute_talking": nods_per_minute(pitch[talks]),
        "nods_per_minute_nobody_speaks": nods_per_minute(pitch[still]),
        "smile_no_reason": _mean(smile[calm]),
        "jerk_border_over_inside": float(second[border].mean() / max(second[~border].mean(), 1e-9)),
    }


def evaluate_listener(
    model: Model, *, worlds: int = 48, frames: int = 500, how: RollOut | None = None, bank: VoiceBank | None = None
) -> dict[str, dict[str, float]]:
    """Figures of the model's free run, of the same model with shuffled speakers, and of the simulator's listener."""
    how = how or RollOut()
    dyads = simulate(900_001 + how.seed, worlds, frames, bank)
    dyads.controls[:] = np.where(np.arange(worlds)[:, None] % 2, dyads.controls, 0.0)
    dyads = simulate(900_001 + how.seed, worlds, frames, bank, dyads.controls)
    model_listener = roll_out(model, dyads, how)
    shuffled = roll_out(model, dyads, how, np.roll(np.arange(worlds), 1))
    out = {
        "model": describe(dyads, model_listener),
        "shuffled_speaker": describe(dyads, shuffled),
        "simulator": describe(dyads, dyads.listener),
    }
    out["model"]["speaker_reliance"] = out["model"]["smile_coupling"] - out["shuffled_speaker"]["smile_coupling"]
    return out
