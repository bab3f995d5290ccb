"""Is someone speaking: silero's network on 32 ms windows, then hysteresis with a hang-over."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from reactdiff_ros.errors import WeightsError

WINDOW: Final = 512
"""Samples of one decision at 16 kHz: 32 ms."""
_CONTEXT: Final = 64
_RATE: Final = np.array(16000, np.int64)


def find_network() -> Path:
    """The ONNX file inside the installed silero_vad package, which is not imported (it would load torch).

    Raises:
        WeightsError: the package or its file is missing.
    """
    spec = importlib.util.find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise WeightsError("the voice activity network is not installed", where="silero-vad", todo="run 'make setup'")


class VoiceActivityNetwork:
    """Speech probability of consecutive 32 ms windows; the network remembers what came before.

    Args:
        path: the ONNX file, None = the installed one.

    Raises:
        WeightsError: the file is missing or is not that network.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or find_network()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
            self.reset()
            self.probability(np.zeros(WINDOW, np.float32))
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise WeightsError(
                "the voice activity network cannot be loaded", where=str(path), todo="run 'make setup' again"
            ) from error
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros((1, _CONTEXT + WINDOW), np.float32)

    def probability(self, window: NDArray[np.float32]) -> float:
        """0..1 for the next window, float32 (512,) in -1..1."""
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = window
        output, self._state = self._session.run(None, {"input": self._input, "state": self._state, "sr": _RATE})
        probability = float(output[0, 0])
        if not math.isfinite(probability):
            self.reset()
            return 0.0
        return min(max(probability, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class SpeechThresholds:
    """When speech begins and ends. Start and end as in silero's own iterator (threshold, threshold - 0.15)."""

    start: float = 0.5
    end: float = 0.35
    certain: float = 0.9
    """An utterance begins only once a window reaches this. On our recordings every utterance does, within 0.1 s in most
    cases, while music that hovers above `start` for a second does not."""
    minimum_s: float = 0.06
    """Speech shorter than this is no utterance (clicks, notes): two windows."""
    hang_over_s: float = 0.2
    """Silence shorter than this does not end an utterance (stops and breath inside speech)."""


class UtteranceTracker:
    """Hysteresis over the windows' probabilities, and when utterances began and ended. Times are stamps in ns."""

    def __init__(self, thresholds: SpeechThresholds) -> None:
        self._thresholds = thresholds
        self.speaking = False
        self._began_ns = 0
        self._heard_ns = 0
        self._ended_ns: int | None = None
        self._candidate_ns: int | None = None
        self._certain = False

    def observe(self, probability: float, start_ns: int, end_ns: int) -> None:
        """One window's probability and its time."""
        limits = self._thresholds
        if self.speaking:
            if probability >= limits.end:
                self._heard_ns = end_ns
            elif end_ns - self._heard_ns >= limits.hang_over_s * 1e9:
                self.end()
        elif probability < limits.start:
            self._candidate_ns, self._certain = None, False
        else:
            self._certain |= probability >= limits.certain
            self._candidate_ns = start_ns if self._candidate_ns is None else self._candidate_ns
            if self._certain and end_ns - self._candidate_ns >= limits.minimum_s * 1e9:
                self.speaking, self._began_ns, self._heard_ns = True, self._candidate_ns, end_ns

    def end(self) -> None:
        """The sound stopped or the pause is long enough: the utterance ended where speech was last heard."""
        if self.speaking:
            self._ended_ns = self._heard_ns
        self.speaking, self._candidate_ns, self._certain = False, None, False

    def pause_s(self, now_ns: int) -> float:
        """Seconds since the last utterance ended, 0 while speaking, NaN if there was none."""
        if self.speaking:
            return 0.0
        return float("nan") if self._ended_ns is None else max(0, now_ns - self._ended_ns) / 1e9

    def utterance_s(self, now_ns: int) -> float:
        """Seconds since the current utterance began, 0 while silent."""
        return max(0, now_ns - self._began_ns) / 1e9 if self.speaking else 0.0
