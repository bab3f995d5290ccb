"""Simulated speakers: what they do, and what a camera and a microphone would make of it.

`Speakers` holds the truth (smiles, phrases, head, presence); `observe_speakers` turns it into the SpeakerBatch that
perception would deliver: gains, offsets, leakage of speech into the mouth, noise, held and lost pictures, missing
camera or microphone. The priors are wide on purpose, because perception reads different people differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX
from reactdiff_ros.model.tokens import READ, SpeakerBatch
from reactdiff_ros.types import MFCC_COUNT

from .events import (
    FRAME_S,
    BoolArray,
    Events,
    FloatArray,
    enough,
    envelope,
    inside,
    low_pass,
    ornstein,
    phrases,
    poisson_starts,
    since,
    uniform,
)
from .voice_bank import VoiceBank

TALKER, SLOW, QUIET, NOISY = range(4)
_BIAS = (("brow", 0.2), ("cheek", 0.1), ("mouthSmile", 0.04), ("mouthFrown", 0.15), ("mouth", 0.08))
"""Standard deviation of what perception gets wrong about a person's neutral, by how a name begins; else 0.05."""


@dataclass(slots=True)
class Speakers:
    """The truth about B speakers over T frames."""

    kind: NDArray[np.int64]  # (B,) TALKER, SLOW, QUIET (face only) or NOISY (music, robot sound: nobody speaks)
    present: BoolArray
    speech: BoolArray
    phrase_start: FloatArray
    phrase_end: FloatArray  # (B, N) s
    cue: FloatArray  # (B, N) s: a backchannel cue inside the phrase (NaN: none)
    smiles: Events
    brow_ups: Events
    frowns: Events
    sads: Events
    nods: Events
    smile: FloatArray
    brow_up: FloatArray
    frown: FloatArray
    sad: FloatArray
    head: FloatArray  # (B, T, 3) rad: pitch, yaw, roll
    contact: BoolArray


def _events(
    rng: np.random.Generator, rate: FloatArray, count: int, amplitude: tuple[float, float], hold: tuple[float, float]
) -> Events:
    shape = (len(rate), count)
    low, high = amplitude
    return Events(
        start=poisson_starts(rng, rate, count, 1.5),
        amplitude=uniform(rng, low, high, shape),
        rise=uniform(rng, 0.35, 0.8, shape),
        hold=np.exp(uniform(rng, np.log(hold[0]), np.log(hold[1]), shape)),
        fall=uniform(rng, 0.4, 1.4, shape),
        on=np.broadcast_to((rate > 0.01)[:, None], shape).copy(),
    )


def make_speakers(rng: np.random.Generator, worlds: int, frames: int) -> Speakers:
    """B speakers of different kinds: lively and still, happy and neutral, present and absent."""
    kind = rng.choice(4, worlds, p=[0.6, 0.15, 0.15, 0.1])
    talks = kind <= SLOW
    starts, ends = phrases(
        rng, worlds, enough(40, frames), np.where(kind == SLOW, 1.5, 2.2), np.where(kind == SLOW, 2.5, 0.55)
    )
    shift = uniform(rng, 0.0, 4.0, (worlds, 1)) * (rng.random((worlds, 1)) < 0.5)
    starts, ends = starts + shift, ends + shift
    starts[~talks], ends[~talks] = 1e6, 1e6
    cue = starts + uniform(rng, 0.9, 3.0, starts.shape)
    cue = np.where((cue < ends - 0.4) & talks[:, None], cue, np.nan).astype(np.float32)

    still = rng.random(worlds) < 0.18
    smile_rate = np.where(still, 0.0, 4.5 * np.exp(0.5 * rng.standard_normal(worlds))).astype(np.float32)
    smiles = _events(rng, smile_rate, enough(8, frames), (0.15, 0.9), (0.3, 5.0))
    happy = (rng.random(worlds) < 0.2) & ~still
    smiles.start[happy, 0] = rng.uniform(-1.5, 2.0, happy.sum())
    smiles.hold[happy, 0] = rng.uniform(3.0, 25.0, happy.sum())
    smiles.amplitude[happy, 0] = rng.uniform(0.35, 1.0, happy.sum())
    calm = np.where(still, 0.0, 1.0).astype(np.float32)
    brow_ups = _events(rng, 4.0 * calm, enough(6, frames), (0.2, 0.9), (0.2, 1.5))
    frowns = _events(rng, 1.5 * calm * (rng.random(worlds) < 0.6), enough(4, frames), (0.2, 0.8), (0.8, 6.0))
    sads = _events(rng, 1.5 * calm * (rng.random(worlds) < 0.3), enough(4, frames), (0.2, 0.8), (1.5, 8.0))
    nods = _events(rng, 2.0 * calm, enough(4, frames), (0.05, 0.13), (0.3, 0.7))

    speech = inside(starts, ends, frames)
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    head = ornstein(rng, worlds, frames, 0.45, 3) * (0.02 + 0.05 * low_pass(speech, 0.3)[..., None])
    head = head * uniform(rng, 0.3, 1.6, (worlds, 1, 1)) + 0.08 * ornstein(rng, worlds, frames, 4.0, 3)
    head[..., 0] += envelope(nods, frames) * np.sin(2 * np.pi * 1.8 * time)
    present = np.ones((worlds, frames), dtype=bool)
    leaves = rng.random(worlds) < 0.25
    away = rng.uniform(0, frames * FRAME_S, (worlds, 2)).astype(np.float32)
    gone = inside(away, away + rng.uniform(1.0, 8.0, (worlds, 2)).astype(np.float32), frames)
    present &= ~(gone & leaves[:, None])
    present[rng.random(worlds) < 0.05] = False
    contact = ornstein(rng, worlds, frames, 1.0)[..., 0] + np.where(speech, -0.1, 0.8) > 0
    return Speakers(
        kind=kind, present=present, speech=speech & present, phrase_start=starts, phrase_end=ends, cue=cue,
        smiles=smiles, brow_ups=brow_ups, frowns=frowns, sads=sads, nods=nods,
        smile=envelope(smiles, frames), brow_up=envelope(brow_ups, frames), frown=envelope(frowns, frames),
        sad=envelope(sads, frames), head=head.astype(np.float32), contact=contact,
    )  # fmt: skip


def observe_speakers(rng: np.random.Generator, s: Speakers, bank: VoiceBank) -> SpeakerBatch:
    """What perception would deliver of these speakers, (B, T)."""
    worlds, frames = s.speech.shape
    camera, microphone = _devices(rng, worlds, frames)
    coefficients, confidence, mesh, affect = _face(rng, s)
    pick = _held(rng, worlds, frames)
    take = np.arange(worlds)[:, None], pick
    gaze = np.concatenate(
        [0.4 * (1 - s.contact[..., None]) * ornstein(rng, worlds, frames, 1.0, 2), s.contact[..., None]], -1
    )
    gaze[..., 2] = np.clip(0.15 + 0.7 * gaze[..., 2] + 0.15 * ornstein(rng, worlds, frames, 0.3)[..., 0], 0, 1)
    face = s.present[take] & camera
    mesh = mesh[take] & face
    affect_on = rng.random(worlds) < 0.75
    ramp = np.clip(np.arange(frames) / (25 * rng.uniform(0.5, 8, (worlds, 1))), 0, 1)
    neutral = np.where(rng.random((worlds, 1)) < 0.5, 1.0, ramp).astype(np.float32)
    voice = _voice(rng, s, bank)
    return SpeakerBatch(
        camera=camera, face=face, mesh=mesh, neutral_confidence=neutral, coefficients=coefficients[take],
        confidence=confidence[take], gaze_observed=mesh & (rng.random((worlds, 1)) < 0.9),
        gaze=gaze[take].astype(np.float32),
        affect_observed=mesh & affect_on[:, None], affect=affect[take], microphone=microphone, **voice,
    )  # fmt: skip


def _devices(rng: np.random.Generator, worlds: int, frames: int) -> tuple[BoolArray, BoolArray]:
    """Whether a camera and a microphone are there, (B, T) each; some vanish for a while."""
    camera = np.ones((worlds, frames), dtype=bool)
    microphone = np.ones((worlds, frames), dtype=bool)
    kind = rng.random(worlds)
    camera[kind < 0.12] = False
    microphone[(kind >= 0.12) & (kind < 0.42)] = False
    for mask in (camera, microphone):
        start = rng.uniform(0, frames * FRAME_S, (worlds, 1)).astype(np.float32)
        lost = inside(start, start + rng.uniform(1, 6, (worlds, 1)).astype(np.float32), frames)
        mask &= ~(lost & (rng.random((worlds, 1)) < 0.06))
    return camera, microphone


def _held(rng: np.random.Generator, worlds: int, frames: int) -> NDArray[np.int64]:
    """Which true frame each grid frame shows: some latency, held pictures, slower cameras. (B, T) indices."""
    step = rng.choice([1, 1, 1, 2, 3], (worlds, 1))
    fresh = (np.arange(frames) % step == 0) & (rng.random((worlds, frames)) > 0.03)
    fresh[:, 0] = True
    last = np.maximum.accumulate(np.where(fresh, np.arange(frames), 0), axis=1)
    return np.asarray(np.maximum(last - rng.integers(0, 3, (worlds, 1)), 0))


def _face(rng: np.random.Generator, s: Speakers) -> tuple[FloatArray, FloatArray, BoolArray, FloatArray]:
    worlds, frames = s.speech.shape
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    talking = low_pass(s.speech, 0.08)
    rate = uniform(rng, 3.0, 5.5, (worlds, 1))
    phase = 2 * np.pi * rate * time + 1.5 * ornstein(rng, worlds, frames, 0.3)[..., 0]
    jaw = talking * (0.5 + 0.5 * np.sin(phase)) * np.clip(0.3 + 0.15 * ornstein(rng, worlds, frames, 0.2)[..., 0], 0, 1)
    blink = (ornstein(rng, worlds, frames, 0.06)[..., 0] > 2.0).astype(np.float32)
    gain = uniform(rng, 0.35, 1.15, (worlds, 1))
    # Perception that goes on adapting takes a long smile for the neutral, in part.
    leak = 0.5 * (rng.random((worlds, 1)) < 0.3) * low_pass(s.smile > 0.15, 20.0)
    # Speech moves the corners of the mouth: it hides a smile now and then, and reads as one now and then.
    hides = (
        rng.uniform(0, 0.8, (worlds, 1)) * talking * np.clip(0.8 * ornstein(rng, worlds, frames, 0.25)[..., 0], 0, 1)
    )
    seems = (
        0.35 * (rng.random((worlds, 1)) < 0.35) * talking * np.clip(ornstein(rng, worlds, frames, 0.15)[..., 0], 0, 1)
    )
    smile = gain * s.smile * (1 - leak) * (1 - hides) + seems
    truth = {
        "mouthSmile": smile, "cheekSquint": 0.7 * smile, "mouthUpperUp": 0.4 * smile + 0.3 * jaw,
        "mouthStretch": 0.2 * smile + 0.3 * talking * np.clip(ornstein(rng, worlds, frames, 0.15)[..., 0], 0, 1),
        "browInnerUp": gain * (s.brow_up + 0.6 * s.sad), "browOuterUp": gain * s.brow_up, "eyeWide": 0.6 * s.brow_up,
        "browDown": gain * s.frown, "mouthFrown": gain * (0.8 * s.sad + 0.3 * s.frown), "eyeBlink": blink,
        "jawOpen": jaw + 0.25 * (s.smile > 0.8), "mouthLowerDown": 0.7 * jaw,
        "mouthFunnel": 0.3 * talking * np.clip(ornstein(rng, worlds, frames, 0.15)[..., 0], 0, 2),
        "mouthPucker": 0.3 * talking * np.clip(ornstein(rng, worlds, frames, 0.15)[..., 0], 0, 2),
    }  # fmt: skip
    coefficients = np.zeros((worlds, frames, COEFFICIENT_COUNT), dtype=np.float32)
    confidence = np.zeros_like(coefficients)
    slow = ornstein(rng, worlds, frames, 0.8, len(READ))
    fast = rng.standard_normal((worlds, frames, len(READ))).astype(np.float32)
    bias = rng.normal(0.0, 1.0, (worlds, 1, len(READ))) * _biases()
    noise = rng.uniform(0.01, 0.06, (worlds, 1, 1)) * slow + rng.uniform(0.0, 0.03, (worlds, 1, 1)) * fast + bias
    noise = noise * (1 + 1.2 * talking[..., None])
    quality = rng.uniform(0.25, 1.0, (worlds, 1, len(READ))) * np.clip(1 + 0.1 * slow[..., :1], 0.3, 1.0)
    seen = rng.random((worlds, 1, len(READ))) < rng.choice([1.0, 0.9, 0.75], (worlds, 1, 1))
    for i, name in enumerate(READ):
        value = truth[name.removesuffix("Left").removesuffix("Right")]
        j = INDEX[name]
        coefficients[..., j] = np.clip(value + noise[..., i], 0, 1)
        keep = seen[..., i] | ("Smile" in name)
        confidence[..., j] = quality[..., i] * keep
    coefficients[..., 52:55] = s.head + rng.normal(0, 0.004, s.head.shape) + rng.normal(0, 0.05, (worlds, 1, 3))
    coefficients[..., 55:58] = 0.03 * ornstein(rng, worlds, frames, 2.0, 3)
    confidence[..., 52:58] = quality[..., :1]
    lost = low_pass(rng.random((worlds, frames)) < 0.01 * rng.choice([0, 1, 5], (worlds, 1)), 0.1) > 0.1
    return coefficients, confidence, ~lost, _affect(rng, s)


def _biases() -> list[float]:
    return [next((sd for start, sd in _BIAS if name.startswith(start)), 0.05) for name in READ]


def _affect(rng: np.random.Generator, s: Speakers) -> FloatArray:
    worlds, frames = s.speech.shape
    logits = 0.8 * rng.standard_normal((worlds, 1, 7)) + 0.6 * ornstein(rng, worlds, frames, 0.4, 7)
    sharp = rng.uniform(5.0, 14.0, (worlds, 1))
    threshold = rng.uniform(0.1, 0.45, (worlds, 1))
    logits[..., 0] += 8 * (s.frown - 0.4) - 1
    logits[..., 1] += -3
    logits[..., 2] += -3
    logits[..., 3] += sharp * (s.smile - threshold) - 1
    logits[..., 4] += 8 * (s.sad - 0.4) - 1
    logits[..., 5] += 8 * (s.brow_up - 0.5) - 1
    logits[..., 6] += 2.0
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    valence = p[..., 3] - 0.7 * (p[..., 0] + p[..., 1] + p[..., 2] + p[..., 4])
    arousal = 0.6 * (p[..., 0] + p[..., 2] + p[..., 5]) + 0.3 * p[..., 3] - 0.3 * p[..., 4]
    return np.asarray(np.concatenate([p, np.stack([valence, arousal], -1)], -1), dtype=np.float32)


def _voice(rng: np.random.Generator, s: Speakers, bank: VoiceBank) -> dict[str, Any]:
    worlds, frames = s.speech.shape
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    noisy = (s.kind == NOISY)[:, None]
    lag = rng.integers(1, 3)
    heard = np.roll(s.speech, lag, axis=1)
    heard[:, :lag] = s.speech[:, :1]
    wobble = ornstein(rng, worlds, frames, 0.1)[..., 0]
    blips = (ornstein(rng, worlds, frames, 0.15)[..., 0] > 2.3) & noisy
    probability = np.clip(np.where(heard, 0.93, 0.04) + np.where(noisy, 0.08, 0.05) * wobble + 0.5 * blips, 0, 1)
    speaking = (since(probability > 0.55) < 0.24) & ~(blips & ~heard)
    quiet = since(speaking)
    pause = np.where(speaking, 0.0, np.where(np.isfinite(quiet), quiet, np.nan))
    utterance = np.where(speaking, np.minimum(since(~speaking), (time + FRAME_S)[None]), 0.0)
    # A backchannel cue is a stretch of low pitch; pitch also falls toward the end of a phrase.
    into = np.zeros((worlds, frames), dtype=np.float32)
    for n in range(s.cue.shape[1]):
        cue, end = s.cue[:, n, None], s.phrase_end[:, n, None]
        into = np.maximum(into, ((time >= cue - 0.2) & (time < cue + 0.05)).astype(np.float32))
        into = np.maximum(into, np.clip(1 - (end - time) / 0.5, 0, 1) * (time < end + 0.1))
    base = rng.uniform(85, 250, (worlds, 1))
    pitch = base * np.exp(0.12 * ornstein(rng, worlds, frames, 0.15)[..., 0] - 0.3 * into)
    voiced = s.speech & (ornstein(rng, worlds, frames, 0.08)[..., 0] > -0.7)
    tone = noisy & (ornstein(rng, worlds, frames, 0.3)[..., 0] > 0.2)
    pitch = np.where(voiced, pitch, np.where(tone, rng.uniform(80, 380, (worlds, 1)), 0.0))
    floor = np.where(noisy, rng.uniform(-35, -8, (worlds, 1)), rng.uniform(-85, -45, (worlds, 1)))
    floor = np.where(rng.random((worlds, 1)) < 0.1, -100.0, floor)
    level = rng.uniform(-36, -12, (worlds, 1)) + 4 * wobble - 5 * into
    loudness = np.where(s.speech, np.maximum(level, floor), floor + 2.5 * wobble)
    mfcc = bank.draw(rng, s.speech, noisy[:, 0])
    mfcc[rng.random(worlds) < 0.1] = np.nan
    return {
        "speech_probability": probability.astype(np.float32), "speaking": speaking,
        "mfcc": mfcc.reshape(worlds, frames, MFCC_COUNT), "pitch_hz": pitch.astype(np.float32),
        "loudness_dbfs": np.clip(loudness, -100, 0).astype(np.float32), "pause_s": pause.astype(np.float32),
        "utterance_s": utterance.astype(np.float32),
    }  # fmt: skip
