"""The voice stream of simulated speakers: tracks of the bank laid along the phrases, then rooms, gains and delays.

A phrase takes its first half from the beginning of a synthesised one and its second half from the end, so that onset
and ending (falling or level) are real; the bright and the flat rendering of a phrase run in step and may change at
any frame. Utterance and pause are computed anew, causally, by the rules of perception's utterance tracker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from reactdiff_ros.model.tokens import MFCC_SCALE
from reactdiff_ros.types import MFCC_COUNT

from .motion import (
    FRAME_S,
    BoolArray,
    FloatArray,
    IntArray,
    Seed,
    generator,
    log_normal,
    low_pass,
    newest,
    ornstein,
    since,
    uniform,
)
from .speaker import NOISY, Speakers
from .voices import COLUMNS, TAIL, VoiceBank

_PART: Final = 60
C0_PER_DB: Final = float(np.sqrt(MFCC_COUNT) * np.log(10) / 10)
"""What a gain of 1 dB adds to the first MFCC (orthonormal DCT of log powers)."""
DROP: Final = 0.33
"""Log-pitch falls by this much at a cue (chosen: below the 26th percentile of speech)."""
START, END, CERTAIN, HANG_OVER_S = 0.5, 0.35, 0.9, 0.2
"""Thresholds of perception's utterance tracker (perception/voice.py; a test holds the two together)."""


def hear(seed: Seed, s: Speakers, bank: VoiceBank | None) -> dict[str, Any]:
    """The voice fields of a SpeakerBatch, (B, T)."""
    rng = generator(seed, _PART)
    worlds, frames = s.speech.shape
    noisy = s.kind == NOISY
    tracks = _Parametric(rng, s) if bank is None or bank.empty else _Bank(rng, s, bank)
    voice, sounding = tracks.voice()
    rest = tracks.rest()
    waves = ornstein(rng, worlds, frames, (0.15, 0.4))
    # Distance and microphone: priors are chosen wide.
    gain = uniform(rng, -16.0, 8.0, (worlds, 1)) - 3.0 * s.low_pitch + 1.5 * waves[..., 1]
    floor = np.where(noisy[:, None], uniform(rng, -12.0, 8.0, (worlds, 1)), uniform(rng, -25.0, 8.0, (worlds, 1)))
    muted = (rng.random((worlds, 1)) < 0.1) & ~noisy[:, None]  # digital silence between phrases
    voice[..., 2] += gain
    voice[..., 3] += C0_PER_DB * gain
    rest[..., 2] += floor
    rest[..., 3] += C0_PER_DB * floor
    mixed = _mix(voice, rest, sounding)
    probability, pitch, loudness = mixed[..., 0], mixed[..., 1], mixed[..., 2]
    shift = log_normal(rng, 1.0, 0.04, (worlds, 1)) * np.exp(-DROP * s.low_pitch)
    pitch = np.where(pitch > 0, np.clip(pitch * shift, 60.0, 400.0), 0.0)
    silent = muted & ~sounding
    loudness = np.where(silent, -100.0, np.clip(loudness, -100.0, 0.0))
    mfcc = mixed[..., 3:]
    colour = rng.standard_normal((worlds, 1, MFCC_COUNT), dtype=np.float32)
    grain = rng.standard_normal((worlds, frames, MFCC_COUNT), dtype=np.float32)
    mfcc += (0.25 * colour + 0.05 * grain) * MFCC_SCALE
    mfcc[rng.random(worlds) < 0.07] = np.nan  # a source without MFCC
    probability = np.clip(probability + 0.02 * waves[..., 0], 0.0, 1.0)
    delay = rng.choice(3, (worlds, 1), p=[0.4, 0.4, 0.2])
    take = np.arange(worlds)[:, None], np.maximum(np.arange(frames) - delay, 0)
    probability = probability[take].astype(np.float32)
    speaking, pause, utterance = track_utterances(probability)
    return {
        "speech_probability": probability, "speaking": speaking, "mfcc": mfcc[take], "pitch_hz": pitch[take],
        "loudness_dbfs": loudness[take].astype(np.float32), "pause_s": pause, "utterance_s": utterance,
    }  # fmt: skip


def _mix(voice: FloatArray, rest: FloatArray, sounding: BoolArray) -> FloatArray:
    """Voice in a room: powers add, the louder one shapes the spectrum, and noise hides voicing and speech."""
    ratio = np.clip(voice[..., 2] - rest[..., 2], -40.0, 40.0)
    share = (sounding / (1.0 + np.exp(-0.4 * ratio))).astype(np.float32)
    out: FloatArray = rest + share[..., None] * (voice - rest)
    louder = 10.0 * np.log10(10.0 ** (0.1 * voice[..., 2]) + 10.0 ** (0.1 * rest[..., 2]))
    out[..., 2] = np.where(sounding, louder, rest[..., 2])
    out[..., 1] = np.where(share > 0.5, voice[..., 1], rest[..., 1] * (share < 0.5))
    heard = np.clip(1.5 * share, 0.0, 1.0)
    out[..., 0] = np.where(sounding, np.maximum(rest[..., 0], heard * voice[..., 0]), rest[..., 0])
    return out


def track_utterances(probability: FloatArray) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Speaking, seconds since the last utterance (NaN: none yet) and since this one began, (B, T) each.

    Perception's rules on 40 ms frames: an utterance begins with two frames above START one of which is CERTAIN, and
    is over HANG_OVER_S after the last frame above END.
    """
    worlds, frames = probability.shape
    speaking = np.zeros(worlds, bool)
    certain = np.zeros(worlds, bool)
    candidate = np.full(worlds, np.inf, np.float32)
    began = np.zeros(worlds, np.float32)
    heard = np.zeros(worlds, np.float32)
    ended = np.full(worlds, np.nan, np.float32)
    out = np.zeros((worlds, frames), bool)
    pause, utterance = np.zeros((2, worlds, frames), np.float32)
    columns = np.ascontiguousarray(probability.T)
    for t in range(frames):
        p, now = columns[t], np.float32((t + 1) * FRAME_S)
        over = speaking & (p < END) & (now - heard >= HANG_OVER_S - 1e-4)
        heard = np.where(speaking & (p >= END), now, heard)
        ended = np.where(over, heard, ended)
        maybe = ~speaking & (p >= START)
        certain = maybe & (certain | (p >= CERTAIN))
        candidate = np.where(maybe, np.minimum(candidate, now - FRAME_S), np.inf).astype(np.float32)
        starts = certain & (now - candidate >= 2 * FRAME_S - 1e-4)
        began, heard = np.where(starts, candidate, began), np.where(starts, now, heard)
        speaking = (speaking & ~over) | starts
        out[:, t] = speaking
        pause[:, t] = np.where(speaking, 0.0, now - ended)
        utterance[:, t] = np.where(speaking, now - began, 0.0)
    return out, pause, utterance


@dataclass(slots=True)
class _Where:
    """For each frame (B, T): the phrase it belongs to or follows, frames since its start, until and since its end."""

    phrase: IntArray
    into: IntArray
    left: IntArray


def _locate(s: Speakers) -> _Where:
    frames = s.speech.shape[1]
    first = np.ceil(s.talk.start / FRAME_S - 1e-4)
    after = np.ceil(s.talk.end / FRAME_S - 1e-4)
    phrase = newest(s.talk.start, s.talk.on, frames)
    at = np.maximum(phrase, 0)
    time = np.arange(frames)
    into = time - np.take_along_axis(np.clip(first, -1e6, 1e6).astype(np.int64), at, axis=1)
    left = np.take_along_axis(np.clip(after, -1e6, 1e6).astype(np.int64), at, axis=1) - time
    return _Where(phrase, into, left)


class _Bank:
    """Tracks of the bank, as pointers into its frames."""

    def __init__(self, rng: np.random.Generator, s: Speakers, bank: VoiceBank) -> None:
        self._rng, self._s, self._bank = rng, s, bank

    def voice(self) -> tuple[FloatArray, BoolArray]:
        rng, s, bank = self._rng, self._s, self._bank
        worlds, frames = s.speech.shape
        voices, phrases = bank.phrases.shape[:2]
        who = rng.integers(voices, size=(worlds, 1))
        text = rng.integers(phrases, size=s.talk.start.shape)
        burst = rng.integers(bank.bursts.shape[1], size=(worlds, frames))
        skip = rng.integers(10, size=(worlds, frames))
        where = _locate(s)
        column = np.maximum(where.phrase, 0)
        track = bank.phrases[
            who, np.take_along_axis(text, column, axis=1), s.bright.astype(np.int64),
            np.take_along_axis(s.talk.falling, column, axis=1).astype(np.int64),
        ]  # fmt: skip
        length = track[..., 1]
        early = where.into <= where.left
        local = np.where(early, where.into % length, length - 1 - (where.left - 1) % length)
        tail = (where.left <= 0) & (where.left > -TAIL)
        local = np.where(tail, length - where.left, local)
        pointer = track[..., 0] + np.maximum(local, 0)
        spoken = (where.phrase >= 0) & (where.left > -TAIL) & s.present & ~s.burst & ~s.hush
        began = np.maximum.accumulate(
            np.where(s.burst & ~np.roll(s.burst, 1, axis=1) | (np.arange(frames) == 0), np.arange(frames), 0), axis=1
        )
        rows = np.arange(worlds)[:, None]
        chosen = bank.bursts[who, burst[rows, began]]
        shout = chosen[..., 0] + (skip[rows, began] + np.arange(frames) - began) % chosen[..., 1]
        pointer = np.where(s.burst, shout, np.where(spoken, pointer, 0))
        taken: FloatArray = bank.frames[pointer]
        return taken, spoken | s.burst

    def rest(self) -> FloatArray:
        rng, s, bank = self._rng, self._s, self._bank
        worlds, frames = s.speech.shape
        room = bank.rooms[rng.integers(len(bank.rooms), size=worlds)]
        noise = bank.noises[rng.integers(len(bank.noises), size=worlds)]
        track = np.where((s.kind == NOISY)[:, None], noise, room)
        start = rng.integers(1 << 20, size=(worlds, 1))
        taken: FloatArray = bank.frames[track[:, :1] + (start + np.arange(frames)) % track[:, 1:]]
        return taken


class _Parametric:
    """Smooth random tracks that carry activity, pitch, loudness, brightness and endings, for want of voices."""

    def __init__(self, rng: np.random.Generator, s: Speakers) -> None:
        self._rng, self._s = rng, s

    def voice(self) -> tuple[FloatArray, BoolArray]:
        rng, s = self._rng, self._s
        worlds, frames = s.speech.shape
        waves = ornstein(rng, worlds, frames, (0.15, 0.08, 0.1, *(0.06,) * MFCC_COUNT))
        where = _locate(s)
        falling = np.take_along_axis(s.talk.falling, np.maximum(where.phrase, 0), axis=1)
        fall = falling * np.clip(1 - where.left * FRAME_S / 0.5, 0, 1) * (where.left > -3)
        tail = (where.phrase >= 0) & (where.left <= 0) & (where.left > -3)
        sounding = ((since(s.speech) < 0.12) & tail & s.present & ~s.hush) | s.speech | s.burst
        bright = low_pass(s.bright, 0.1)
        out = np.empty((worlds, frames, COLUMNS), np.float32)
        loud = low_pass(s.speech | s.burst, 0.05)
        out[..., 0] = np.clip(1.15 * loud - 0.1 + 0.06 * waves[..., 2], 0, 1)
        pulse = np.where(s.burst, np.sin(2 * np.pi * 4.5 * np.arange(frames) * FRAME_S) > -0.3, waves[..., 1] > -0.7)
        base = log_normal(rng, 150.0, 0.3, (worlds, 1))
        tone = base * np.exp(0.10 * (1 + 0.5 * bright) * waves[..., 0] + 0.28 * bright - 0.3 * fall + 0.3 * s.burst)
        out[..., 1] = np.where(pulse & ~tail, np.clip(tone, 60, 400), 0.0)
        out[..., 2] = -24.0 + 4 * waves[..., 2] + 2.0 * bright - 5 * fall - 12 * tail
        out[..., 3:] = MFCC_SCALE * waves[..., 3:]
        # A smiling voice has more of the upper bands: less of the second cepstral coefficient (chosen).
        out[..., 4] -= 0.8 * MFCC_SCALE[1] * bright
        return out, sounding

    def rest(self) -> FloatArray:
        rng, s = self._rng, self._s
        worlds, frames = s.speech.shape
        waves = ornstein(rng, worlds, frames, (0.1, 0.15, 0.3, *(0.05,) * MFCC_COUNT))
        noisy = (s.kind == NOISY)[:, None]
        blips = noisy * np.clip(waves[..., 1] - 2.0, 0, 1)
        out = np.empty((worlds, frames, COLUMNS), np.float32)
        out[..., 0] = np.clip(0.04 + np.where(noisy, 0.08, 0.03) * waves[..., 0] + 0.8 * blips, 0, 1)
        tone = noisy & (waves[..., 2] > 0.2)
        out[..., 1] = np.where(tone, uniform(rng, 80.0, 380.0, (worlds, 1)), 0.0)
        out[..., 2] = np.where(noisy, -24.0, -56.0) + 2.5 * waves[..., 0]
        out[..., 3:] = 0.5 * MFCC_SCALE * waves[..., 3:]
        out[..., 3] += C0_PER_DB * np.where(noisy, 0.0, -32.0)
        return out
