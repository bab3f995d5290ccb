"""Simulated dyads: speakers and an appropriate listener for each, for training, tests and evaluation.

The listener is causal: what it shows at t depends on the speaker up to t and on its own noise. It answers smiles with
human lags and dynamics, nods at ends of phrases and at backchannel cues, raises its brows, looks puzzled or
concerned, tilts its head; how much depends on attitude and temperament. It answers only what can be perceived: no
smile for a face that no camera sees, nothing for music, silence or an empty room. Blinks, gaze and breathing are
other layers' work and stay out. Numbers follow public recordings of dyads (smile onset 0.4 to 0.75 s, lag 0.3 to
1 s, nods of 4 to 7 degrees peak to peak at 1.2 to 2.1 Hz); answering is made likelier than the quarter of smiles
that people answer, because a listener robot is judged by its visible answers.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, bounded
from reactdiff_ros.model.tokens import SpeakerBatch

from .events import (
    FRAME_S,
    Events,
    FloatArray,
    envelope,
    low_pass,
    ornstein,
    since,
    smooth_step,
    spontaneous,
    uniform,
)
from .speakers import Speakers, make_speakers, observe_speakers
from .voice_bank import VoiceBank

CONTROL_NAMES = ("attitude", "smiling", "nodding", "liveliness")
"""Conditions of a listener: attitude and three dimensions of temperament, each -1..1, 0 = ordinary."""

_SOURCES = ("events.py", "speakers.py", "simulator.py", "voice_bank.py", "../model/tokens.py")


@dataclass(slots=True)
class Dyads:
    """B simulated dyads of T frames at 25 Hz."""

    speaker: SpeakerBatch
    truth: Speakers
    listener: FloatArray
    """(B, T, 58)"""
    controls: FloatArray
    """(B, 4), see CONTROL_NAMES."""
    activity: FloatArray
    """(B, T) 0..1: how much happens in the listener's face (weights rare events in training)."""


def simulator_hash() -> str:
    """The first 16 hex digits of the SHA-256 over the simulator's sources, layout and comments left out."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(ast.dump(ast.parse((folder / name).read_text(encoding="utf-8"))).encode())
    return digest.hexdigest()[:16]


def simulate(
    seed: int, worlds: int, frames: int, bank: VoiceBank | None = None, controls: FloatArray | None = None
) -> Dyads:
    """Dyads from a seed. `controls` (worlds, 4) sets the listeners' conditions, else they are drawn.

    The speakers, what is observed of them and the listeners draw from three streams of random numbers: the same seed
    with other controls gives the same speakers.
    """
    speaker_rng, observe_rng, listener_rng = (np.random.default_rng([seed, part]) for part in range(3))
    truth = make_speakers(speaker_rng, worlds, frames)
    speaker = observe_speakers(observe_rng, truth, bank or VoiceBank())
    if controls is None:
        controls = np.clip(0.5 * listener_rng.standard_normal((worlds, 4)), -1, 1).astype(np.float32)
        drawn = listener_rng.random(worlds)
        controls[:, 0] = np.where(drawn < 0.35, 0.0, listener_rng.uniform(-1, 1, worlds))
    listener, activity = _listen(listener_rng, truth, speaker, controls)
    return Dyads(speaker, truth, listener, controls, activity)


def _listen(
    rng: np.random.Generator, s: Speakers, seen: SpeakerBatch, controls: FloatArray
) -> tuple[FloatArray, FloatArray]:
    worlds, frames = s.speech.shape
    sight = low_pass(seen.camera & s.present, 0.35)
    sound = low_pass(seen.microphone, 0.35)
    attitude, smiling, nodding, lively = (controls[:, i, None] for i in range(4))
    # Somebody who is seen or heard to speak, now or a moment ago: without that no feedback.
    talk = low_pass(since(s.speech & ((seen.camera & s.present) | seen.microphone)) < 1.2, 0.2)
    parts = {
        "smile": sight
        * np.maximum(_mirrored(rng, s, attitude, smiling), talk * _polite(rng, attitude, smiling, frames)),
        "nod": np.maximum(sight, sound) * talk * _nods(rng, s, attitude, nodding, frames),
        "brow_up": sight * _answers(rng, s.brow_ups, 0.5 + 0.15 * attitude + 0.2 * lively, 0.6, frames),
        "puzzled": sight * _answers(rng, s.frowns, 0.45 - 0.2 * attitude, 0.6, frames),
        "concern": sight * _answers(rng, s.sads, 0.75 + 0.2 * attitude, 0.7, frames),
    }
    always = np.full(worlds, 2.0, dtype=np.float32)
    emphasis = spontaneous(
        rng, frames, always, 0.6 + 0.3 * lively, gap_s=3.0, amplitude=(0.15, 0.5), rise=(0.2, 0.4), hold=(0.2, 0.8),
        fall=(0.3, 0.6),
    )  # fmt: skip
    parts["brow_up"] = np.maximum(parts["brow_up"], talk * emphasis)
    parts["sceptic"] = talk * spontaneous(
        rng, frames, 1.25 * always, np.clip(-0.1 - attitude, 0, 0.9), gap_s=4.0, amplitude=(0.3, 0.7), rise=(0.4, 0.8),
        hold=(1.0, 4.0), fall=(0.5, 1.0),
    )  # fmt: skip
    parts["tilt"] = np.maximum(sight, sound) * talk * spontaneous(
        rng, frames, always, 0.5 + 0.3 * lively, gap_s=4.0, amplitude=(0.04, 0.1), rise=(0.5, 1.0), hold=(1.0, 5.0),
        fall=(0.6, 1.2),
    )  # fmt: skip
    parts["press"] = 0.5 * talk * spontaneous(
        rng, frames, 1.25 * always, np.full((worlds, 1), 0.6, dtype=np.float32), gap_s=2.0, amplitude=(0.2, 0.8),
        rise=(0.2, 0.4), hold=(0.2, 0.8), fall=(0.3, 0.5),
    )  # fmt: skip
    listener = _face(rng, s, parts, np.maximum(sight, 0.8 * sound * talk), lively)
    nod_active = low_pass(np.abs(parts["nod"]) > 0.01, 0.2)
    activity = np.clip(
        1.2 * parts["smile"] + nod_active + parts["brow_up"] + parts["puzzled"] + parts["concern"] + parts["sceptic"],
        0,
        1,
    )
    return listener, activity.astype(np.float32)


def _reacted(events: Events) -> FloatArray:
    """When a listener can first know of an event: its start, or the start of the world if it was there before."""
    return np.maximum(events.start, 0.0)


def _mirrored(rng: np.random.Generator, s: Speakers, attitude: FloatArray, smiling: FloatArray) -> FloatArray:
    """Smiles that answer the speaker's: 0.3 to 1 s later, as long as the speaker smiles, and a little longer."""
    e = s.smiles
    shape = e.start.shape
    lag = np.clip(0.5 * np.exp(0.3 * rng.standard_normal(shape)), 0.28, 1.0)
    chance = 1 / (1 + np.exp(-(2.2 + 2.6 * attitude + 0.8 * smiling + 2.0 * (e.amplitude - 0.4))))
    gain = (0.8 + 0.25 * attitude + 0.15 * smiling) * np.exp(0.2 * rng.standard_normal(shape))
    start = _reacted(e) + lag
    end = e.end + lag + uniform(rng, 0.0, 0.7, shape)
    rise = uniform(rng, 0.4, 0.75, shape)
    answer = Events(
        start=start, amplitude=np.clip(gain * e.amplitude + 0.05, 0.08, 0.8), rise=rise,
        hold=np.maximum(end - start - rise, 0.4), fall=uniform(rng, 0.6, 1.5, shape),
        on=e.on & (rng.random(shape) < chance) & (e.end > 0.2),
    )  # fmt: skip
    frames = s.smile.shape[1]
    swell = 1 + 0.1 * ornstein(rng, shape[0], frames, 0.8)[..., 0]
    return envelope(answer, frames) * np.clip(swell, 0.75, 1.2)


def _polite(rng: np.random.Generator, attitude: FloatArray, smiling: FloatArray, frames: int) -> FloatArray:
    """Small smiles of a warm listener while somebody talks."""
    rate = np.maximum(0.2 + 2.0 * attitude + 0.6 * smiling, 0.0)
    return spontaneous(
        rng, frames, rate[:, 0], np.asarray(rate > 0.02, dtype=np.float32), gap_s=3.0, amplitude=(0.12, 0.3),
        rise=(0.5, 0.9), hold=(0.5, 2.5), fall=(0.6, 1.5),
    )  # fmt: skip


def _answers(rng: np.random.Generator, e: Events, chance: FloatArray, gain: float, frames: int) -> FloatArray:
    shape = e.start.shape
    lag = np.clip(0.55 * np.exp(0.3 * rng.standard_normal(shape)), 0.3, 1.0)
    answer = Events(
        start=_reacted(e) + lag, amplitude=gain * e.amplitude * np.exp(0.2 * rng.standard_normal(shape)),
        rise=uniform(rng, 0.25, 0.6, shape), hold=e.hold * 0.8 + 0.2, fall=uniform(rng, 0.4, 0.9, shape),
        on=e.on & (rng.random(shape) < chance),
    )  # fmt: skip
    return envelope(answer, frames)


def _nods(rng: np.random.Generator, s: Speakers, attitude: FloatArray, nodding: FloatArray, frames: int) -> FloatArray:
    """Head pitch (rad) of nods after ends of phrases, backchannel cues and the speaker's own nods."""
    worlds = len(s.kind)
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    rate = np.clip(0.28 + 0.16 * nodding + 0.12 * attitude, 0.05, 0.8)
    length = s.phrase_end - s.phrase_start
    at = np.concatenate([s.phrase_end, np.nan_to_num(s.cue, nan=1e6), s.nods.start + 0.3], axis=1)
    worth = np.concatenate(
        [rate * (length > 0.7), np.broadcast_to(rate, length.shape), np.broadcast_to(rate, s.nods.start.shape)], 1
    )
    at = at + rng.uniform(0.15, 0.6, at.shape)
    wanted = rng.random(at.shape) < worth
    order = np.argsort(at, axis=1)
    at, wanted = np.take_along_axis(at, order, 1), np.take_along_axis(wanted, order, 1)
    pitch = np.zeros((worlds, frames), dtype=np.float32)
    free = np.zeros(worlds)
    for n in range(at.shape[1]):
        start = at[:, n]
        on = wanted[:, n] & (start > free) & (start < frames * FRAME_S)
        cycles = rng.choice([1, 2, 3, 4], worlds, p=[0.4, 0.35, 0.17, 0.08]).astype(np.float32)
        frequency = rng.uniform(1.2, 2.1, worlds)
        size = np.radians(np.clip(rng.lognormal(np.log(5.2), 0.3, worlds), 3.0, 9.0)) * (0.85 + 0.15 * cycles)
        free = np.where(on, start + cycles / frequency + 1.2, free)
        if on.any():
            phase = (time - start[:, None]) * frequency[:, None]
            part = np.clip(phase, 0, cycles[:, None])
            decay = np.exp(-0.35 * part)
            # A raised cosine a cycle: the head dips and comes back, so peak to peak is its height.
            shape = 0.5 * (1 - np.cos(2 * np.pi * part)) * decay * smooth_step((cycles[:, None] - part) * 2)
            pitch += np.where(on[:, None], size[:, None] * shape, 0.0).astype(np.float32)
    return pitch


def _face(
    rng: np.random.Generator, s: Speakers, parts: dict[str, FloatArray], engaged: FloatArray, lively: FloatArray
) -> FloatArray:
    worlds, frames = engaged.shape
    out = np.zeros((worlds, frames, COEFFICIENT_COUNT), dtype=np.float32)
    side = 1 + 0.1 * rng.standard_normal((worlds, 1))

    def put(name: str, value: FloatArray) -> None:
        if name in INDEX:
            out[..., INDEX[name]] += value
        else:
            out[..., INDEX[name + "Left"]] += value * side
            out[..., INDEX[name + "Right"]] += value * (2 - side)

    smile, up, down, sad = parts["smile"], parts["brow_up"], parts["puzzled"], parts["concern"]
    big = np.clip(smile - 0.45, 0, 1)
    put("mouthSmile", smile)
    put("cheekSquint", 0.6 * smile)
    put("eyeSquint", 0.3 * smile + 0.2 * down)
    put("mouthDimple", 0.2 * smile + 0.3 * parts["press"])
    put("mouthUpperUp", 0.5 * big)
    put("jawOpen", 0.35 * big + 0.15 * np.clip(up - 0.3, 0, 1))
    put("browInnerUp", 0.8 * up + 0.6 * sad)
    put("browOuterUp", 0.8 * up)
    put("eyeWide", 0.35 * up)
    put("browDown", 0.8 * down + 0.4 * parts["sceptic"])
    put("browOuterUpLeft", 0.5 * parts["sceptic"])
    put("mouthFrown", 0.45 * sad + 0.3 * parts["sceptic"])
    put("mouthPress", parts["press"] + 0.2 * down)
    put("mouthShrugLower", 0.25 * sad)
    calm = np.maximum(engaged, 0.25)
    scale = 1 + 0.4 * lively
    slow, mid = ornstein(rng, worlds, frames, 1.2, 6), ornstein(rng, worlds, frames, 0.35, 6)
    direction = rng.choice([-1.0, 1.0], (worlds, 1)) * np.sign(ornstein(rng, worlds, frames, 8.0)[:, :1, 0])
    out[..., 52] = parts["nod"] + calm * scale * (0.018 * slow[..., 0] + 0.008 * mid[..., 0])
    out[..., 53] = calm * scale * (0.022 * slow[..., 1] + 0.006 * mid[..., 1]) + 0.03 * down
    out[..., 54] = calm * scale * (0.016 * slow[..., 2] + 0.005 * mid[..., 2]) + direction * (
        parts["tilt"] + 0.06 * sad + 0.05 * down
    )
    out[..., 55] = calm * 0.004 * slow[..., 3]
    out[..., 56] = calm * 0.002 * slow[..., 4] - 0.03 * parts["nod"]
    out[..., 57] = calm * 0.006 * slow[..., 5] + 0.012 * engaged * low_pass(s.speech, 2.0)
    return bounded(out)
