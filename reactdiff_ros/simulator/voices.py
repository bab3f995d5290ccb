"""A bank of voices for the simulator: phrases, bursts and rooms as perception's voice extractor hears them.

The bank is a build-time file outside the repository (`make_bank`, espeak-ng needed). Without one the simulator's voice
streams are parametric (`hearing.py`).
"""

from __future__ import annotations

import io
import subprocess
import wave
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.types import MFCC_COUNT

from .motion import FloatArray, IntArray

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
_RATE_HZ: Final = 22050
_LEAD_FRAMES: Final = 10
_FRAME: Final = _RATE_HZ // 25

Samples = NDArray[np.float32]


def _no_frames() -> FloatArray:
    return np.zeros((0, COLUMNS), np.float32)


def _no_tracks(*shape: int) -> IntArray:
    return np.zeros((*shape, 2), np.int64)


@dataclass(frozen=True, slots=True)
class VoiceBank:
    """Voice streams at 25 Hz; empty when no bank was made. A track is (first frame, count of frames)."""

    frames: FloatArray = field(default_factory=_no_frames)
    """(F, COLUMNS)"""
    phrases: IntArray = field(default_factory=lambda: _no_tracks(0, 0, 2, 2))
    """(voices, phrases, flat or bright, level or falling end, 2): the count leaves out the TAIL frames that follow."""
    bursts: IntArray = field(default_factory=lambda: _no_tracks(0, 0))
    """(voices, bursts, 2): laughs and coughs, which sound alike here; likewise followed by TAIL frames."""
    rooms: IntArray = field(default_factory=lambda: _no_tracks(0))
    """(rooms, 2): near silence of different rooms and microphones."""
    noises: IntArray = field(default_factory=lambda: _no_tracks(0))
    """(noises, 2): music, hum, rumble, other people far away."""

    @property
    def empty(self) -> bool:
        """No voices were made."""
        return not len(self.frames)


def load_bank(path: Path | None) -> VoiceBank:
    """The bank at `path`; an empty one for None.

    Raises:
        ReactdiffError: the file cannot be read, or holds no bank of this format.
    """
    if path is None:
        return VoiceBank()
    try:
        with np.load(path) as data:
            if "format" not in data or int(data["format"]) != FORMAT:
                raise ReactdiffError("this is no voice bank of this version", where=str(path), todo="make it again")
            bank = VoiceBank(
                *(data[name].astype(np.float32 if name == "frames" else np.int64) for name in VoiceBank.__slots__)
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ReactdiffError("the voice bank cannot be read", where=str(path), todo="make it again") from error
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
    phrases = np.array([[_render_phrase(recorder, rng, v, n) for n in range(PHRASES)] for v in range(len(VOICES))])
    bursts = np.array([[_render_burst(recorder, rng, v, n) for n in range(BURSTS)] for v in range(len(VOICES))])
    rooms = np.array([recorder.background(_room(rng)) for _ in range(ROOMS)])
    noises = np.array([recorder.background(_noise(rng, n)) for n in range(NOISES)])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path, format=FORMAT, frames=np.concatenate(recorder.frames), phrases=phrases, bursts=bursts, rooms=rooms,
            noises=noises,
        )  # fmt: skip
    except OSError as error:
        raise ReactdiffError("the voice bank cannot be written", where=str(path), todo="free some space") from error
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
            self._extractor.push(Sound(stamp, _RATE_HZ, whole[k * _FRAME : (k + 1) * _FRAME, None]))
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


def _render_phrase(recorder: _Recorder, rng: np.random.Generator, voice: int, number: int) -> list[Any]:
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
            samples = _speak(VOICES[voice], text, pitch + shift, speed)
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
        samples = _speak(VOICES[voice], f'<prosody range="high">{text}.</prosody>', 70, int(rng.integers(190, 260)))
    else:
        time = np.arange(int(rng.uniform(1.2, 2.2) * _RATE_HZ)) / _RATE_HZ
        every = rng.uniform(0.28, 0.45)
        envelope = np.exp(-(time % every) / 0.07) * np.clip((time % every) / 0.01, 0, 1)
        breath = np.convolve(rng.standard_normal(len(time)), np.hanning(9) / 4, mode="same")
        glottis = np.sign(np.sin(2 * np.pi * rng.uniform(90, 220) * time)) * rng.uniform(0.1, 0.5)
        samples = ((breath + glottis) * envelope).astype(np.float32)
    return recorder.sound(samples, rng.uniform(-24.0, -16.0))


def _room(rng: np.random.Generator) -> Samples:
    """A quiet room: hiss and the hum of the mains or of a fan."""
    time = np.arange(BACKGROUND_S * _RATE_HZ) / _RATE_HZ
    hiss = rng.standard_normal(len(time))
    rumble = np.convolve(rng.standard_normal(len(time)), np.ones(200) / 14, mode="same")
    hum = np.sin(2 * np.pi * rng.choice([50.0, 60.0, 100.0, 120.0]) * time)
    mix = hiss + rng.uniform(0, 2) * rumble + rng.uniform(0, 1) * hum
    return np.asarray(mix / np.std(mix) * 10 ** (rng.uniform(-62, -50) / 20), dtype=np.float32)


def _noise(rng: np.random.Generator, number: int) -> Samples:
    """What is no speaker: chords with a beat, hiss, rumble, a motor, people far away."""
    time = np.arange(BACKGROUND_S * _RATE_HZ) / _RATE_HZ
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
            voice = _speak(str(rng.choice(VOICES)), words, int(rng.integers(20, 80)), 160)
            mix += np.roll(np.resize(voice, len(time)), int(rng.integers(len(time))))
        mix = np.convolve(mix, np.ones(14) / 14, mode="same") + 0.02 * rng.standard_normal(len(time))
    return np.asarray(mix / np.std(mix) * 10 ** (rng.uniform(-34, -22) / 20), dtype=np.float32)


def _speak(voice: str, text: str, pitch: int, words_per_minute: int) -> Samples:
    """SSML to sound at _RATE_HZ, silence before and after cut off.

    Raises:
        ReactdiffError: espeak-ng is missing or fails.
    """
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(words_per_minute), "-m", "--stdout"]
    try:
        done = subprocess.run([*command, f"<speak>{text}</speak>"], capture_output=True, check=True, timeout=60)
        with wave.open(io.BytesIO(done.stdout)) as reader:
            # A stream's header does not know its length: read what is there.
            data = reader.readframes(len(done.stdout) // 2)
            rate, channels = reader.getframerate(), reader.getnchannels()
    except (OSError, subprocess.SubprocessError, wave.Error, EOFError) as error:
        raise ReactdiffError("espeak-ng cannot make the voice bank", todo="apt-get install espeak-ng") from error
    samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / 32768.0
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if (rate, channels) != (_RATE_HZ, 1) or not len(loud):
        raise ReactdiffError("espeak-ng made no usable sound", where=f"voice {voice}", todo="install espeak-ng 1.50+")
    return samples[loud[0] : loud[-1] + 1]
