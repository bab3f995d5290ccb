"""The speaker's voice: stamped sound in, `Voice` at any time out."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MessageError
from reactdiff_ros.onnx_network import Network, shipped
from reactdiff_ros.perception.sound import HOP, WINDOW, MfccStream, loudness_dbfs, pitch_hz
from reactdiff_ros.resampling import RATE_HZ, Resampler, mono
from reactdiff_ros.types import FloatArray, Sound, Voice

# ---- Is someone speaking: silero's network on 32 ms windows, then hysteresis with a hang-over

VAD_WINDOW: Final = 512
"""Samples of one decision at 16 kHz: 32 ms."""
_CONTEXT: Final = 64
_RATE: Final = np.array(16000, np.int64)


class VoiceActivityNetwork:
    """Speech probability of consecutive 32 ms windows; the network remembers what came before.

    Args:
        path: the ONNX file, None = the one that ships with the package.

    Raises:
        WeightsError: the file is missing or is not that network.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.reset()
        trial: dict[str, NDArray[Any]] = {"input": self._input, "state": self._state, "sr": _RATE}
        self._network = Network("the voice activity network", path or shipped("voice/silero_vad.onnx"), trial)

    def reset(self) -> None:
        """Forget what was heard."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros((1, _CONTEXT + VAD_WINDOW), np.float32)

    def probability(self, window: NDArray[np.float32]) -> float:
        """0..1 for the next window, float32 (512,) in -1..1."""
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = window
        output, self._state = self._network.run({"input": self._input, "state": self._state, "sr": _RATE})
        probability = float(output[0, 0])
        if not math.isfinite(probability):
            self.reset()
            return 0.0
        return min(max(probability, 0.0), 1.0)


# When speech begins and ends; start and end as in silero's own iterator (threshold, threshold - 0.15).
SPEECH_START: Final = 0.5
SPEECH_END: Final = 0.35
SPEECH_CERTAIN: Final = 0.9
"""An utterance begins only once a window reaches this. On our recordings every utterance does, within 0.1 s in most
cases, while music that hovers above SPEECH_START for a second does not."""
MINIMUM_S: Final = 0.06
"""Speech shorter than this is no utterance (clicks, notes): two windows."""
HANG_OVER_S: Final = 0.2
"""Silence shorter than this does not end an utterance (stops and breath inside speech)."""


class UtteranceTracker:
    """Hysteresis over the windows' probabilities, and when utterances began and ended. Times are stamps in ns."""

    def __init__(self) -> None:
        self.speaking = False
        self._began_ns = 0
        self._heard_ns = 0
        self._ended_ns: int | None = None
        self._candidate_ns: int | None = None
        self._certain = False

    def observe(self, probability: float, start_ns: int, end_ns: int) -> None:
        """One window's probability and its time."""
        if self.speaking:
            if probability >= SPEECH_END:
                self._heard_ns = end_ns
            elif end_ns - self._heard_ns >= HANG_OVER_S * 1e9:
                self.end()
        elif probability < SPEECH_START:
            self._candidate_ns, self._certain = None, False
        else:
            self._certain |= probability >= SPEECH_CERTAIN
            self._candidate_ns = start_ns if self._candidate_ns is None else self._candidate_ns
            if self._certain and end_ns - self._candidate_ns >= MINIMUM_S * 1e9:
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


# Speech over the robot's own, where an echo canceller takes the robot out of the sound.
LOUDER_DB: Final = 6.0
"""A person is louder than what the canceller leaves of the robot by more than this."""
_FALL_DB_S: Final = 1.0
"""How fast the loudest that the canceller has left is forgotten."""
_LEARNS_S: Final = 1.0
_UNLIKELY_S: Final = 1.0
"""Loud sound in which the network hears no speech for this long is a noise, or the canceller adapts."""


class OverRobot:
    """Speech in sound from which an echo canceller takes the robot's voice.

    The canceller leaves little of the robot. A person stays as loud as they are, but holes in the spectrum, which the
    network does not know from whole speech, keep it from hearing them for up to 1 s. So what is louder than the
    remainder of the robot counts as speech, from its beginning, once the network has heard speech in some of it.
    """

    def __init__(self) -> None:
        self._remainder_db = -100.0
        self._first_ns: int | None = None
        self._began_ns: int | None = None
        self._heard_ns = 0
        self._speech = False

    def observe(self, probability: float, window: NDArray[np.float32], start_ns: int, end_ns: int) -> tuple[float, int]:
        """The probability of speech in a window (float32 in -1..1), and when the sound that it belongs to began."""
        level_db = 10.0 * math.log10(float(np.mean(np.square(window))) + 1e-10)
        self._first_ns = start_ns if self._first_ns is None else self._first_ns
        if end_ns - self._first_ns < _LEARNS_S * NS and probability < SPEECH_START:
            self._remainder_db = max(level_db, self._remainder_db)
        loud = level_db > self._remainder_db + LOUDER_DB
        if loud:
            self._began_ns = start_ns if self._began_ns is None else self._began_ns
            self._heard_ns = end_ns
        elif self._began_ns is not None and end_ns - self._heard_ns >= HANG_OVER_S * NS:
            self._began_ns, self._speech = None, False
        if self._began_ns is None:
            self._remainder_db = max(level_db, self._remainder_db - _FALL_DB_S * (end_ns - start_ns) / NS)
            return probability, start_ns
        self._speech |= probability >= SPEECH_START
        if self._speech:
            return (max(probability, SPEECH_CERTAIN) if loud else probability), self._began_ns
        if end_ns - self._began_ns >= _UNLIKELY_S * NS:
            self._remainder_db, self._began_ns = level_db, None
        return probability, start_ns


_HISTORY_NS: Final = 2 * NS
_DRIFT_NS: Final = 2 * NS
"""Time constant with which the sample clock follows the stamps."""
_JITTER_NS: Final = 40_000_000
"""Stamps that differ by less from the count of samples are continuous sound."""
_KEEP_NS: Final = NS // 2
"""A longer hole in the sound ends the utterance and what the network remembers."""
_FRESH_NS: Final = NS // 2
"""Sound older than this is no longer observed."""


class _Hop:
    """The newest 40 ms of sound. Pitch and loudness are computed on first use: few hops are used."""

    def __init__(self, mfcc: FloatArray, window: NDArray[np.float32]) -> None:
        self.mfcc, self._window = mfcc, window

    @cached_property
    def pitch_hz(self) -> float:
        return pitch_hz(self._window)

    @cached_property
    def loudness_dbfs(self) -> float:
        return loudness_dbfs(self._window)


@dataclass(frozen=True, slots=True)
class _Moment:
    """All that was heard up to `end_ns`."""

    end_ns: int
    hop: _Hop
    speech_probability: float
    speaking: bool
    pause_s: float
    utterance_s: float
    clean: bool

    def voice(self) -> Voice:
        hop = self.hop
        return Voice(
            self.speech_probability, self.speaking, hop.mfcc, hop.pitch_hz, hop.loudness_dbfs, self.pause_s,
            self.utterance_s, self.clean,
        )  # fmt: skip


class VoiceExtractor:
    """Voice activity, MFCC, pitch, loudness and timing of one stream of sound at any rate and channel count.

    Causal, and a function of the samples and stamps alone: however the sound is cut into chunks, the same values
    come at the same times. Values come every 20 ms, and with each 32 ms decision of the voice activity network.

    Raises:
        WeightsError: the voice activity network is missing.
    """

    def __init__(self) -> None:
        self._network = VoiceActivityNetwork()
        self.digitally_silent = False
        """Not one sample differed from 0 in the last second: a muted or dead microphone."""
        self.clipping = 0.0
        """Share of samples at full scale, over about a second."""
        self.holes = 0
        """How often sound was missing since the start."""
        self.reset()

    def reset(self) -> None:
        """Forget everything heard."""
        self._network.reset()
        self._utterances, self._over = UtteranceTracker(), OverRobot()
        self._history: deque[_Moment] = deque()
        self._stream: _Stream | None = None
        self._probability = 0.0
        self._hop: _Hop | None = None
        self._clean = False
        self._clipping = 0.0
        self._silent_ns = 0

    def push(self, sound: Sound) -> None:
        """Hear a chunk.

        After a hole the sound starts again at the chunk's stamp; a chunk from the past is dropped; a jump back of more
        than 0.5 s is a new time line and flushes everything.

        Raises:
            MessageError: not int16 (n, 1..32 channels), or a rate outside 8..192 kHz; nothing was heard of it.
        """
        _check(sound)
        if not len(sound.samples):
            return
        stream = self._follow(sound)
        if stream is None:
            return
        self._listen_to_health(sound)
        self._clean = sound.clean
        stream.push(sound.samples)
        while stream.advance():
            self._consume(stream)

    def latest(self, now_ns: int) -> tuple[Voice, int] | None:
        """The newest voice that was heard entirely before `now_ns`, with the end stamp of the sound consumed.

        None if no sound was heard in the last 0.5 s before `now_ns` (unobserved, which is not silence).
        """
        for moment in reversed(self._history):
            if moment.end_ns <= now_ns:
                fresh = now_ns - moment.end_ns <= _FRESH_NS
                return (moment.voice(), moment.end_ns) if fresh else None
        return None

    def _follow(self, sound: Sound) -> _Stream | None:
        """The stream that this chunk continues, a new one after a hole or change, None for a late chunk."""
        stream = self._stream
        rate_hz, channels = sound.rate_hz, sound.samples.shape[1]
        if stream is not None:
            error_ns = sound.stamp_ns - stream.end_ns
            if error_ns < -_KEEP_NS:
                self.reset()
            elif error_ns < -_JITTER_NS:
                return None
            elif error_ns > _JITTER_NS:
                self.holes += 1
                if error_ns > _KEEP_NS:
                    self._utterances.end()
                    self._network.reset()
            elif stream.rate_hz == rate_hz and stream.channels == channels:
                stream.correct(error_ns, len(sound.samples))
                return stream
        self._stream = _Stream(sound.stamp_ns, rate_hz, channels)
        return self._stream

    def _consume(self, stream: _Stream) -> None:
        end_ns = stream.heard_ns()
        if stream.vad_due:
            window, start_ns = stream.last(VAD_WINDOW), end_ns - VAD_WINDOW * NS // RATE_HZ
            self._probability = self._network.probability(window)
            if self._clean:
                self._probability, start_ns = self._over.observe(self._probability, window, start_ns, end_ns)
            self._utterances.observe(self._probability, start_ns, end_ns)
        if stream.hop_due and stream.full and stream.mfcc is not None:
            self._hop = _Hop(stream.mfcc, stream.last(WINDOW))
        if self._hop is not None and stream.full:
            self._remember(end_ns, self._hop)

    def _remember(self, end_ns: int, hop: _Hop) -> None:
        if self._history and end_ns <= self._history[-1].end_ns:  # the stamps were corrected by more than a hop
            return
        heard = self._utterances
        timing = heard.speaking, heard.pause_s(end_ns), heard.utterance_s(end_ns)
        self._history.append(_Moment(end_ns, hop, self._probability, *timing, self._clean))
        while self._history[0].end_ns < end_ns - _HISTORY_NS:
            self._history.popleft()

    def _listen_to_health(self, sound: Sound) -> None:
        duration_ns = len(sound.samples) * NS // sound.rate_hz
        low, high = int(sound.samples.min()), int(sound.samples.max())
        self._silent_ns = 0 if low or high else self._silent_ns + duration_ns
        clipped = 0.0
        if low <= -32767 or high == 32767:
            clipped = float(((sound.samples == 32767) | (sound.samples <= -32767)).mean())
        weight = min(1.0, duration_ns / NS)
        self._clipping += weight * (clipped - self._clipping)
        self.digitally_silent = self._silent_ns >= NS
        self.clipping = round(self._clipping, 6)


class _Stream:
    """Gapless sound of one format: its 16 kHz samples in blocks that end at fixed counts, and their times."""

    def __init__(self, stamp_ns: int, rate_hz: int, channels: int) -> None:
        self.rate_hz, self.channels = rate_hz, channels
        self._anchor_ns = stamp_ns
        self._received = 0
        self._resampler = Resampler(rate_hz)
        self._mfcc_stream = MfccStream()
        self._waiting = np.zeros(0, np.float32)
        self._recent = np.zeros(WINDOW, np.float32)
        self._count = 0
        self.mfcc: FloatArray | None = None
        self.vad_due = self.hop_due = False

    @property
    def end_ns(self) -> int:
        """The stamp that the next chunk should have."""
        return self._anchor_ns + self._received * NS // self.rate_hz

    @property
    def full(self) -> bool:
        """A whole window has been heard."""
        return self._count >= WINDOW

    def correct(self, error_ns: int, count: int) -> None:
        """Follow the stamps slowly: clocks drift, and single stamps jitter."""
        self._anchor_ns += int(error_ns * min(1.0, count * NS / self.rate_hz / _DRIFT_NS))

    def push(self, samples: NDArray[np.int16]) -> None:
        self._received += len(samples)
        self._resampler.push(mono(samples))
        ready = self._resampler.reach() - self._count - len(self._waiting)
        if ready > 0:
            self._waiting = np.concatenate([self._waiting, self._resampler.take(ready)])

    def heard_ns(self) -> int:
        """Stamp of the newest input that the samples so far were made of."""
        return self._anchor_ns + self._count * NS // RATE_HZ + self._resampler.delay_ns

    def advance(self) -> bool:
        """Take the samples up to the next hop or voice activity decision; False if they were not heard yet."""
        target = min((self._count // HOP + 1) * HOP, (self._count // VAD_WINDOW + 1) * VAD_WINDOW)
        count = target - self._count
        if len(self._waiting) < count:
            return False
        block, self._waiting = self._waiting[:count], self._waiting[count:]
        self._recent = np.concatenate([self._recent[len(block) :], block])
        self._count = target
        self.vad_due, self.hop_due = target % VAD_WINDOW == 0, target % HOP == 0
        if self.hop_due:
            self.mfcc = self._mfcc_stream.push(self._recent[-HOP:])
        return True

    def last(self, count: int) -> NDArray[np.float32]:
        """The newest `count` samples."""
        return self._recent[-count:]


def _check(sound: Sound) -> None:
    samples = sound.samples
    if not isinstance(samples, np.ndarray) or samples.dtype != np.int16 or samples.ndim != 2:
        raise MessageError("the sound is not 16-bit samples by channels", where="audio")
    if not 1 <= samples.shape[1] <= 32:
        raise MessageError(
            f"sound with {samples.shape[1]} channels is not supported", where="audio", todo="send 1 to 32"
        )
    if not 8000 <= sound.rate_hz <= 192000:
        raise MessageError(
            f"a sample rate of {sound.rate_hz} Hz is not supported", where="audio", todo="8000 to 192000"
        )
