"""Voices of simulated speakers: a bank of synthesised speech, and the voice stream that perception would deliver.

The bank holds phrases, bursts and rooms as perception's voice extractor hears them. It is a build-time file outside the
repository (`make_bank`, espeak-ng needed); without one the voice streams are parametric. A phrase takes its first half
from the beginning of a synthesised one and its second half from the end, so that onset and ending (falling or level)
are real; the bright and the flat rendering of a phrase run in step and may change at any frame. Utterance and pause are
computed again, causally, by the rules of perception's utterance tracker.
"""

from __future__ import annotations

import io
import subprocess
import wave
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.model.diffusion.tokens import FRAME_S, MFCC_SCALE
from reactdiff_ros.perception.voice import HANG_OVER_S, SPEECH_CERTAIN, SPEECH_END, SPEECH_START
from reactdiff_ros.types import MFCC_COUNT, FloatArray
from reactdiff_ros.whole_file import write_arrays

from .behaviour import NOISY
from .motion import BoolArray, IntArray, Seed, generator, log_normal, low_pass, newest, ornstein, since, uniform
from .speaker import Speakers

_PART: Final = 60
C0_PER_DB: Final = float(np.sqrt(MFCC_COUNT) * np.log(10) / 10)
"""What a gain of 1 dB adds to the first MFCC (orthonormal DCT of log powers)."""
DROP: Final = 0.33
"""Log-pitch falls by this much at a cue (chosen: below the 26th percentile of speech)."""


def hear(seed: Seed, s: Speakers, bank: VoiceBank | None) -> dict[str, Any]:
    """The voice fields of a SpeakerBatch, (B, T)."""
    rng = generator(seed, _PART)
    worlds, frames = s.speech.shape
    noisy = s.kind == NOISY
    tracks = _parametric_tracks(rng, s) if bank is None else _bank_tracks(rng, s, bank)
    voice, sounding, rest = tracks
    waves = ornstein(rng, worlds, frames, (0.15, 0.4))
    # Distance and microphone: priors are chosen wide.
    gain = uniform(rng, -16.0, 8.0, (worlds, 1)) - 3.0 * s.low_pitch + 1.5 * waves[..., 1]
    floor = np.where(noisy[:, None], uniform(rng, -12.0, 8.0, (worlds, 1)), uniform(rng, -25.0, 8.0, (worlds, 1)))
    muted = (rng.random((worlds, 1)) < 0.1) & ~noisy[:, None]  # digital silence between phrases
    gain = gain + s.episodes.level * s.episodes.along("loud_db")
    voice[..., 2] += gain
    voice[..., 3] += C0_PER_DB * gain
    rest[..., 2] += floor
    rest[..., 3] += C0_PER_DB * floor
    mixed = _mix(voice, rest, sounding)
    probability, pitch, loudness = mixed[..., 0], mixed[..., 1], mixed[..., 2]
    shift = log_normal(rng, 1.0, 0.04, (worlds, 1)) * np.exp(-DROP * s.low_pitch)
    shift = shift * np.exp(s.episodes.level * s.episodes.along("pitch"))
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

    Perception's rules on 40 ms frames: an utterance begins with two frames above SPEECH_START, one of them above
    SPEECH_CERTAIN, and is over HANG_OVER_S after the last frame above SPEECH_END.
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
        over = speaking & (p < SPEECH_END) & (now - heard >= HANG_OVER_S - 1e-4)
        heard = np.where(speaking & (p >= SPEECH_END), now, heard)
        ended = np.where(over, heard, ended)
        maybe = ~speaking & (p >= SPEECH_START)
        certain = maybe & (certain | (p >= SPEECH_CERTAIN))
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


def _bank_tracks(rng: np.random.Generator, s: Speakers, bank: VoiceBank) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Tracks of the bank: the voice (B, T, COLUMNS), where it sounds (B, T), and what else is heard (B, T, COLUMNS)."""
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
    into, left = ((away * s.episodes.pace).astype(np.int64) for away in (where.into, where.left - 1))
    local = np.where(early, into % length, length - 1 - left % length)
    tail = (where.left <= 0) & (where.left > -TAIL)
    local = np.where(tail, length - where.left, local)
    pointer = track[..., 0] + np.maximum(local, 0)
    spoken = (where.phrase >= 0) & (where.left > -TAIL) & s.present & ~s.burst & ~s.hush & ~s.episodes.halts
    began = np.maximum.accumulate(
        np.where(s.burst & ~np.roll(s.burst, 1, axis=1) | (np.arange(frames) == 0), np.arange(frames), 0), axis=1
    )
    rows = np.arange(worlds)[:, None]
    chosen = bank.bursts[who, burst[rows, began]]
    shout = chosen[..., 0] + (skip[rows, began] + np.arange(frames) - began) % chosen[..., 1]
    pointer = np.where(s.burst, shout, np.where(spoken, pointer, 0))
    room = bank.rooms[rng.integers(len(bank.rooms), size=worlds)]
    noise = bank.noises[rng.integers(len(bank.noises), size=worlds)]
    track = np.where((s.kind == NOISY)[:, None], noise, room)
    start = rng.integers(1 << 20, size=(worlds, 1))
    behind = bank.frames[track[:, :1] + (start + np.arange(frames)) % track[:, 1:]]
    return bank.frames[pointer], spoken | s.burst, behind


def _parametric_tracks(rng: np.random.Generator, s: Speakers) -> tuple[FloatArray, BoolArray, FloatArray]:
    """As `_bank_tracks`, without a bank: smooth random tracks with activity, pitch, loudness, brightness, endings."""
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
    waves = ornstein(rng, worlds, frames, (0.1, 0.15, 0.3, *(0.05,) * MFCC_COUNT))
    noisy = (s.kind == NOISY)[:, None]
    blips = noisy * np.clip(waves[..., 1] - 2.0, 0, 1)
    behind = np.empty((worlds, frames, COLUMNS), np.float32)
    behind[..., 0] = np.clip(0.04 + np.where(noisy, 0.08, 0.03) * waves[..., 0] + 0.8 * blips, 0, 1)
    tone = noisy & (waves[..., 2] > 0.2)
    behind[..., 1] = np.where(tone, uniform(rng, 80.0, 380.0, (worlds, 1)), 0.0)
    behind[..., 2] = np.where(noisy, -24.0, -56.0) + 2.5 * waves[..., 0]
    behind[..., 3:] = 0.5 * MFCC_SCALE * waves[..., 3:]
    behind[..., 3] += C0_PER_DB * np.where(noisy, 0.0, -32.0)
    return out, sounding, behind


FORMAT: Final = 2
COLUMNS: Final = 3 + MFCC_COUNT
"""speech probability | pitch (Hz, 0 = unvoiced) | loudness (dBFS) | MFCC."""
TAIL: Final = 8
"""Frames of every phrase and burst after its sound is over."""

VOICES: Final = (
    "en-us", "en-gb", "de", "fr", "es", "it", "pl", "pt-br", "ru", "nl", "sv", "tr", "en-us+f1", "en-gb+f2", "de+f3",
    "fr+f4", "es+f5", "it+f2", "pl+f1", "nl+f3", "en-us+m2", "en-gb+m4", "de+m5", "fr+m7", "es+m3", "it+m6",
)  # fmt: skip
"""Languages and variants of espeak-ng."""
PHRASES: Final = 5
BURSTS: Final = 6
ROOMS: Final = 10
NOISES: Final = 15
BACKGROUND_S: Final = 8
_SYLLABLES: Final = (
    "ka", "mi", "to", "ran", "sel", "vu", "dor", "pe", "shi", "lan", "go", "ber", "ti", "mos", "fa", "ny", "lo", "den",
)  # fmt: skip
_STYLES: Final = ((40, "low"), (60, "x-high"))
"""Pitch (0..99) and range of the flat and of the bright rendering."""
_ENDINGS: Final = (("+20%", "+20%", ","), ("-35%", "-25%", "."))
"""Pitch of the last word, flat and bright, and the mark after it, for level and falling ends: log-pitch of the last
0.25 s is about .0 and -.3 below the phrase's median."""
VOICE_RATE_HZ: Final = 22050
_LEAD_FRAMES: Final = 10
_FRAME: Final = VOICE_RATE_HZ // 25

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VoiceBank:
    """Voice streams at 25 Hz. A track is (first frame, count of frames)."""

    frames: FloatArray
    """(F, COLUMNS)"""
    phrases: IntArray
    """(voices, phrases, flat or bright, level or falling end, 2): the count leaves out the TAIL frames that follow."""
    bursts: IntArray
    """(voices, bursts, 2): laughs and coughs, which sound alike here; likewise followed by TAIL frames."""
    rooms: IntArray
    """(rooms, 2): near silence of different rooms and microphones."""
    noises: IntArray
    """(noises, 2): music, hum, rumble, other people far away."""


def load_bank(path: Path) -> VoiceBank:
    """The bank at `path`.

    Raises:
        ReactdiffError: the file cannot be read, or holds no bank of this format.
    """
    wrong = (OSError, ValueError, KeyError, zipfile.BadZipFile)
    with explained(wrong, "the voice bank cannot be read", where=path, todo="make it again"), np.load(path) as data:
        if "format" not in data or int(data["format"]) != FORMAT:
            raise ReactdiffError("this is not a voice bank of this version", where=str(path), todo="make it again")
        bank = VoiceBank(
            *(data[name].astype(np.float32 if name == "frames" else np.int64) for name in VoiceBank.__slots__)
        )
    _check(bank, path)
    return bank


def _check(bank: VoiceBank, path: Path) -> None:
    shapes = (bank.frames.shape[1:], bank.phrases.shape[2:], bank.bursts.shape[2:], bank.rooms.shape[1:])
    good = shapes == ((COLUMNS,), (2, 2, 2), (2,), (2,)) and bank.noises.shape[1:] == (2,)
    tables = (bank.phrases, bank.bursts, bank.rooms, bank.noises)
    if good:
        good = all(table.size and (table[..., 0] >= 0).all() and (table[..., 1] > 0).all() for table in tables)
        good &= all(int(table.sum(axis=-1).max()) <= len(bank.frames) for table in tables if table.size)
    if not (good and np.isfinite(bank.frames).all()):
        raise ReactdiffError("the voice bank is damaged", where=str(path), todo="make it again")


def make_bank(path: Path, seed: int = 0, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Synthesises the bank and writes it to `path` (npz). Returns the number of tracks.

    Args:
        path: the file.
        seed: same seed and same espeak-ng, same bank.
        progress: called with tracks done and in all.

    Raises:
        ReactdiffError: espeak-ng is missing or fails, or the file cannot be written.
        WeightsError: the voice activity network is missing.
    """
    rng = np.random.default_rng([seed, 70])
    recorder = _Recorder(rng, progress)
    phrases = np.array([[_render_phrase(recorder, rng, v) for _ in range(PHRASES)] for v in range(len(VOICES))])
    bursts = np.array([[_render_burst(recorder, rng, v, n) for n in range(BURSTS)] for v in range(len(VOICES))])
    rooms = np.array([recorder.background(_room(rng)) for _ in range(ROOMS)])
    noises = np.array([recorder.background(_noise(rng, n)) for n in range(NOISES)])
    frames = np.concatenate(recorder.frames)
    bank = {"frames": frames, "phrases": phrases, "bursts": bursts, "rooms": rooms, "noises": noises}
    with explained(OSError, "the voice bank cannot be written", where=path):
        write_arrays(path, {"format": FORMAT, **bank})
    return len(recorder.frames)


class _Recorder:
    """Runs sound through perception's voice extractor and keeps the frames.

    Args:
        rng: for the noise of the rooms.
        progress: called with tracks done and in all.
    """

    def __init__(self, rng: np.random.Generator, progress: Callable[[int, int], None] | None) -> None:
        from reactdiff_ros.perception.voice import VoiceExtractor  # heavy, and not needed to use a bank

        self._extractor = VoiceExtractor()
        self._rng, self._progress = rng, progress
        self._total = 0
        self._all = len(VOICES) * (4 * PHRASES + BURSTS) + ROOMS + NOISES
        self.frames: list[FloatArray] = []

    def sound(self, samples: Samples, level_dbfs: float) -> tuple[int, int]:
        """A voice in a quiet room, with a moment of the room before and TAIL frames of it behind."""
        count = -(-len(samples) // _FRAME)
        padded = np.zeros((_LEAD_FRAMES + count + TAIL) * _FRAME, np.float32)
        power = np.sqrt(np.mean(samples**2)) or 1.0
        start = _LEAD_FRAMES * _FRAME
        padded[start : start + len(samples)] = samples / power * 10 ** (level_dbfs / 20)
        floor = 10 ** (self._rng.uniform(-75, -50) / 20)
        padded += floor * self._rng.standard_normal(len(padded), dtype=np.float32)
        return self._keep(self._hear(padded)[_LEAD_FRAMES:], count)

    def background(self, samples: Samples) -> tuple[int, int]:
        """Sound without a voice; the first frames, in which the extractor has heard nothing yet, are left out."""
        frames = self._hear(samples)[_LEAD_FRAMES:]
        return self._keep(frames, len(frames))

    def _hear(self, samples: Samples) -> FloatArray:
        from reactdiff_ros.types import Sound

        self._extractor.reset()
        whole = np.clip(samples * 32767.0, -32768, 32767).astype(np.int16)
        out = np.zeros((len(whole) // _FRAME, COLUMNS), np.float32)
        for k in range(len(out)):
            stamp = k * 40_000_000
            self._extractor.push(Sound(stamp, VOICE_RATE_HZ, whole[k * _FRAME : (k + 1) * _FRAME, None]))
            heard = self._extractor.latest(stamp + 40_000_000)
            if heard is not None:
                voice = heard[0]
                out[k, :3] = voice.speech_probability, voice.pitch_hz, voice.loudness_dbfs
                out[k, 3:] = voice.mfcc
        return out

    def _keep(self, frames: FloatArray, count: int) -> tuple[int, int]:
        first = self._total
        self.frames.append(frames)
        self._total += len(frames)
        if self._progress is not None:
            self._progress(len(self.frames), self._all)
        return first, count


def _render_phrase(recorder: _Recorder, rng: np.random.Generator, voice: int) -> list[Any]:
    """One phrase four times: flat and bright, each with a level and a falling end."""
    words = ["".join(rng.choice(_SYLLABLES, rng.integers(1, 4))) for _ in range(int(rng.integers(5, 9)))]
    speed = int(rng.integers(140, 205))
    shift = int(rng.integers(-8, 9))
    level = rng.uniform(-26.0, -20.0)
    out = []
    for style, (pitch, span) in enumerate(_STYLES):
        row = []
        for ending in _ENDINGS:
            text = (
                f'<prosody range="{span}">{" ".join(words[:-1])}</prosody> '
                f'<prosody range="low" pitch="{ending[style]}">{words[-1]}{ending[2]}</prosody>'
            )
            samples = espeak(VOICES[voice], text, pitch + shift, speed)
            if style:  # a smiling voice has more of the upper bands, and is a little louder
                samples = samples + 0.6 * np.diff(samples, prepend=samples[:1])
            row.append(recorder.sound(samples, level + 2.0 * style))
        out.append(row)
    return out


def _render_burst(recorder: _Recorder, rng: np.random.Generator, voice: int, number: int) -> tuple[int, int]:
    """A bout of laughter, voiced, or of coughing, mostly breath: which of the two it is, the sound alone does not tell
    the simulated listener, because both are drawn for both.
    """
    if number % 2 == 0:
        vowel = str(rng.choice(["ha", "he", "ho"]))
        text = " ".join([vowel * int(rng.integers(3, 6))] * 3)
        samples = espeak(VOICES[voice], f'<prosody range="high">{text}.</prosody>', 70, int(rng.integers(190, 260)))
    else:
        time = np.arange(int(rng.uniform(1.2, 2.2) * VOICE_RATE_HZ)) / VOICE_RATE_HZ
        every = rng.uniform(0.28, 0.45)
        envelope = np.exp(-(time % every) / 0.07) * np.clip((time % every) / 0.01, 0, 1)
        breath = np.convolve(rng.standard_normal(len(time)), np.hanning(9) / 4, mode="same")
        glottis = np.sign(np.sin(2 * np.pi * rng.uniform(90, 220) * time)) * rng.uniform(0.1, 0.5)
        samples = ((breath + glottis) * envelope).astype(np.float32)
    return recorder.sound(samples, rng.uniform(-24.0, -16.0))


def _room(rng: np.random.Generator) -> Samples:
    """A quiet room: hiss and the hum of the mains or of a fan."""
    time = np.arange(BACKGROUND_S * VOICE_RATE_HZ) / VOICE_RATE_HZ
    hiss = rng.standard_normal(len(time))
    rumble = np.convolve(rng.standard_normal(len(time)), np.ones(200) / 14, mode="same")
    hum = np.sin(2 * np.pi * rng.choice([50.0, 60.0, 100.0, 120.0]) * time)
    mix = hiss + rng.uniform(0, 2) * rumble + rng.uniform(0, 1) * hum
    return np.asarray(mix / np.std(mix) * 10 ** (rng.uniform(-62, -50) / 20), dtype=np.float32)


def _noise(rng: np.random.Generator, number: int) -> Samples:
    """What is no speaker: chords with a beat, hiss, rumble, a motor, people far away."""
    time = np.arange(BACKGROUND_S * VOICE_RATE_HZ) / VOICE_RATE_HZ
    kind = number % 5
    if kind == 0:
        roots = 110 * 2 ** (rng.integers(0, 13, 6) / 12)
        step = (time / rng.uniform(0.4, 0.9)).astype(int) % 6
        mix = sum(np.sin(2 * np.pi * roots[step] * m * time + p) / m for p, m in enumerate((1, 1.26, 1.5, 2, 3)))
        mix = np.asarray(mix) * (0.6 + 0.4 * np.cos(2 * np.pi * rng.uniform(1.5, 3) * time))
    elif kind == 1:
        mix = rng.standard_normal(len(time))
    elif kind == 2:
        mix = np.convolve(rng.standard_normal(len(time)), np.ones(300), mode="same")
    elif kind == 3:
        tone = rng.uniform(120, 400)
        mix = sum(np.sin(2 * np.pi * tone * m * time * (1 + 0.01 * np.sin(time))) / m for m in range(1, 9))
        mix = np.asarray(mix) + rng.standard_normal(len(time))
    else:
        mix = np.zeros(len(time))
        for _ in range(5):
            words = " ".join("".join(rng.choice(_SYLLABLES, 3)) for _ in range(25))
            voice = espeak(str(rng.choice(VOICES)), words, int(rng.integers(20, 80)), 160)
            mix += np.roll(np.resize(voice, len(time)), int(rng.integers(len(time))))
        mix = np.convolve(mix, np.ones(14) / 14, mode="same") + 0.02 * rng.standard_normal(len(time))
    return np.asarray(mix / np.std(mix) * 10 ** (rng.uniform(-34, -22) / 20), dtype=np.float32)


def espeak(voice: str, text: str, pitch: int, words_per_minute: int) -> Samples:
    """SSML to sound at VOICE_RATE_HZ, silence before and after cut off.

    Raises:
        ReactdiffError: espeak-ng is missing or fails.
    """
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(words_per_minute), "-m", "--stdout"]
    wrong = (OSError, subprocess.SubprocessError, wave.Error, EOFError)
    with explained(wrong, "espeak-ng cannot make the voice bank", todo="apt-get install espeak-ng"):
        done = subprocess.run([*command, f"<speak>{text}</speak>"], capture_output=True, check=True, timeout=60)
        with wave.open(io.BytesIO(done.stdout)) as reader:
            # A stream's header does not know its length: read what is there.
            data = reader.readframes(len(done.stdout) // 2)
            rate, channels = reader.getframerate(), reader.getnchannels()
    samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / 32768.0
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if (rate, channels) != (VOICE_RATE_HZ, 1) or not len(loud):
        raise ReactdiffError("espeak-ng made no usable sound", where=f"voice {voice}", todo="install espeak-ng 1.50+")
    return samples[loud[0] : loud[-1] + 1]
