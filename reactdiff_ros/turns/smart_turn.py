"""smart-turn v3 (Daily, BSD-2-Clause): does the sound so far end a turn? One answer a pause, from the last 8 s.

The network is not shipped: it lies in the wheel pipecat-ai (requirements/turns.txt, installed without what that needs),
and only its file is used. Its input is Whisper's: 80 log-mel bands every 10 ms of sound with mean 0 and variance 1
(Radford et al. 2022), zeros in front of what is shorter.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.onnx_network import Network
from reactdiff_ros.types import Array

RATE_HZ: Final = 16000
SECONDS: Final = 8
_SAMPLES: Final = RATE_HZ * SECONDS
_FFT, _HOP, _BANDS = 400, 160, 80
_INPUT: Final = "input_features"
_PLACE: Final = Path("audio") / "turn" / "smart_turn" / "data"
INSTALL: Final = "pip install --no-deps -r requirements/turns.txt"


def find_network(setting: str) -> Path | None:
    """The file that the setting `network` means: None for "none", and for "auto" where it is not installed.

    Raises:
        WeightsError: the file that it names is missing.
    """
    if setting in ("", "none"):
        return None
    if setting == "auto":
        spec = importlib.util.find_spec("pipecat")
        folders = [] if spec is None else list(spec.submodule_search_locations or ())
        files = [file for folder in folders for file in sorted((Path(folder) / _PLACE).glob("smart-turn-v3*cpu.onnx"))]
        return files[-1] if files else None
    path = Path(setting).expanduser()
    if not path.is_file():
        raise WeightsError("smart-turn's network is missing", where=str(path), todo=f"give another file, or {INSTALL}")
    return path


class SmartTurn:
    """The network on one thread of the CPU, to be called from one thread at a time.

    Args:
        path: the ONNX file.

    Raises:
        WeightsError: the file is damaged or another network's.
    """

    def __init__(self, path: Path) -> None:
        trial = {_INPUT: log_mel(np.zeros(RATE_HZ, np.float32))[None]}
        self._network = Network("smart-turn's network", path, trial, INSTALL)

    def probability(self, samples: NDArray[np.float32]) -> float:
        """0..1 that a turn ends with these samples (n,) of 16 kHz in -1..1; of more than 8 s the last count."""
        output = self._network.run({_INPUT: log_mel(samples)[None]})
        return float(np.clip(np.nan_to_num(np.ravel(output[0])[0]), 0.0, 1.0))


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(80, 800) of samples (n,) of 16 kHz: the last 8 s, zeros in front."""
    sound = np.zeros(_SAMPLES, np.float32)
    last = samples[-_SAMPLES:]
    sound[_SAMPLES - len(last) :] = last
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + np.float32(1e-7))
    padded = np.pad(sound.astype(np.float64), _FFT // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP][:-1]
    window, bands = _tables()
    power = np.square(np.abs(np.fft.rfft(windows * window, axis=-1)))
    mel = np.log10(np.maximum(bands @ power.T, 1e-10))
    return np.asarray((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0, np.float32)


@lru_cache(maxsize=1)
def _tables() -> tuple[Array, Array]:
    """Periodic Hann window (400,), and Slaney's mel bands (80, 201) of equal area (Slaney 1998, Auditory Toolbox)."""
    edges = _hertz(np.linspace(0.0, _mel(RATE_HZ / 2), _BANDS + 2))
    bins = np.linspace(0.0, RATE_HZ / 2, _FFT // 2 + 1)
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    bands = np.maximum(np.minimum(rising, falling), 0.0) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return np.hanning(_FFT + 1)[:-1], bands


def _mel(hertz: float) -> float:
    return 3.0 * hertz / 200.0 if hertz < 1000.0 else 15.0 + 27.0 * float(np.log(hertz / 1000.0) / np.log(6.4))


def _hertz(mels: Array) -> Array:
    return np.where(mels < 15.0, 200.0 * mels / 3.0, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mels - 15.0)))
