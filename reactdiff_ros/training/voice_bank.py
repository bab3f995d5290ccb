"""MFCC for the simulator: tracks of synthesised speech and of noise, made with espeak-ng and kaldi-native-fbank.

The bank is a build-time file outside the repository. Without one, MFCC are smooth random tracks: the network then
learns that the stream exists and says little more than voice activity does.
"""

from __future__ import annotations

import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.tokens import MFCC_SCALE
from reactdiff_ros.types import MFCC_COUNT

from .events import BoolArray, FloatArray, ornstein

VOICES = ("en", "en-us", "de", "fr", "es", "it", "pl", "pt", "ru", "en+f2", "de+f3", "fr+f4", "es+f1", "en+m4", "en+m7")
SYLLABLES = ("ka", "mi", "to", "ran", "sel", "vu", "dor", "pe", "shi", "lan", "go", "ber", "ti", "mos", "fa", "ny")
RATE_HZ = 16000


@dataclass(frozen=True, slots=True)
class VoiceBank:
    """MFCC tracks at 25 Hz, (frames, 26) each; empty when no bank was made."""

    speech: tuple[FloatArray, ...] = ()
    noise: tuple[FloatArray, ...] = ()

    def draw(self, rng: np.random.Generator, speech: BoolArray, noisy: BoolArray) -> FloatArray:
        """MFCC (B, T, 26): a speech track where somebody speaks, noise or near silence elsewhere."""
        worlds, frames = speech.shape
        offset = rng.normal(0, 0.3, (worlds, 1, MFCC_COUNT)) * MFCC_SCALE
        jitter = 0.1 * rng.standard_normal((worlds, frames, MFCC_COUNT)).astype(np.float32) * MFCC_SCALE
        if not self.speech:
            voice = MFCC_SCALE * ornstein(rng, worlds, frames, 0.06, MFCC_COUNT)
            rest = 0.5 * MFCC_SCALE * ornstein(rng, worlds, frames, 0.05, MFCC_COUNT) - 8.0 * (
                np.arange(MFCC_COUNT) == 0
            )
            return np.asarray(np.where(speech[..., None], voice, rest) + offset + jitter, dtype=np.float32)
        out = np.empty((worlds, frames, MFCC_COUNT), dtype=np.float32)
        for b in range(worlds):
            voice = _run(self.speech[rng.integers(len(self.speech))], frames, int(rng.integers(1 << 20)))
            rest = _run(self.noise[rng.integers(len(self.noise))], frames, int(rng.integers(1 << 20)))
            quieter = 0.0 if noisy[b] else rng.uniform(0, 4)
            rest = rest - quieter * MFCC_SCALE[0] * (np.arange(MFCC_COUNT) == 0)
            out[b] = np.where(speech[b, :, None], voice, rest)
        return np.asarray(out + offset + jitter, dtype=np.float32)


def _run(track: FloatArray, frames: int, start: int) -> FloatArray:
    return np.asarray(track[(start + np.arange(frames)) % len(track)])


def load_bank(path: Path | None) -> VoiceBank:
    """The bank at `path`; an empty one for None.

    Raises:
        ReactdiffError: the file cannot be read.
    """
    if path is None:
        return VoiceBank()
    try:
        with np.load(path) as data:
            tracks = {key: data[key].astype(np.float32) for key in data.files}
    except (OSError, ValueError) as error:
        raise ReactdiffError("the voice bank cannot be read", where=str(path), todo="make it again") from error
    return VoiceBank(
        tuple(v for k, v in sorted(tracks.items()) if k.startswith("speech")),
        tuple(v for k, v in sorted(tracks.items()) if k.startswith("noise")),
    )


def make_bank(path: Path, seed: int = 0, sentences: int = 3) -> int:
    """Synthesise the bank and write it to `path` (npz). Returns the number of tracks.

    Raises:
        ReactdiffError: espeak-ng is not installed.
    """
    rng = np.random.default_rng(seed)
    tracks: dict[str, FloatArray] = {}
    for v, voice in enumerate(VOICES):
        for n in range(sentences):
            tracks[f"speech{v:02d}_{n}"] = mfcc_track(_speak(voice, _babble(rng), int(rng.integers(130, 200))))
    time = np.arange(RATE_HZ * 8) / RATE_HZ
    for n in range(8):
        white = rng.standard_normal(len(time))
        rumble = np.cumsum(white - white.mean())
        chord = sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 4)) for f in rng.uniform(100, 1500, 4))
        chord = np.asarray(chord) * (0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.3, 3) * time))
        mix = (white, rumble / np.abs(rumble).max() * 3, chord, chord + 0.2 * white)[n % 4]
        tracks[f"noise{n}"] = mfcc_track((mix / np.abs(mix).max() * 6000).astype(np.int16))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **tracks)
    return len(tracks)


def mfcc_track(samples: NDArray[np.int16]) -> FloatArray:
    """(frames, 26) MFCC of int16 samples at 16 kHz: perception's own settings, one window a grid frame."""
    import kaldi_native_fbank as knf

    from reactdiff_ros.perception.voice_features import mfcc_options

    options = mfcc_options()
    options.frame_opts.frame_shift_ms = 40.0
    computer = knf.OnlineMfcc(options)
    computer.accept_waveform(RATE_HZ, samples.astype(np.float32) / 32768.0)
    computer.input_finished()
    return np.array([computer.get_frame(i) for i in range(computer.num_frames_ready)], dtype=np.float32)


def _babble(rng: np.random.Generator) -> str:
    words = ["".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(40)]
    return " ".join(word + ("," if rng.random() < 0.12 else "") for word in words) + "."


def _speak(voice: str, text: str, words_per_minute: int) -> NDArray[np.int16]:
    import soxr

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "voice.wav"
        command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-w", str(file), text]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ReactdiffError("espeak-ng cannot make the voice bank", todo="apt-get install espeak-ng") from error
        with wave.open(str(file)) as reader:
            rate = reader.getframerate()
            samples = np.frombuffer(reader.readframes(reader.getnframes()), dtype=np.int16)
    resampled = soxr.resample(samples.astype(np.float32), rate, RATE_HZ)
    return np.asarray(np.clip(resampled, -32768, 32767), dtype=np.int16)
