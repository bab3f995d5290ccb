"""Synthesised speech with the times of its sounds, to learn lips from: espeak-ng, flite and piper, each in a process.

Their programs and libraries are called, never linked or imported: espeak-ng and piper are under the GPL.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import wave
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import MediaError, MissingExtraError, ReactdiffError, explained
from reactdiff_ros.recordings.datasets.recording import DatasetError, readable_text
from reactdiff_ros.types import Alphabet, FloatArray, SpeechTiming
from tools.small_networks.known_lips import sound_of

CLOSURE_BEFORE_S: Final = {**dict.fromkeys("ptk", 0.055), **dict.fromkeys("bdgɡ", 0.03)}
"""espeak-ng times stops by their burst; they are shut for so long before it."""
LANGUAGES: Final = (
    "en-us", "en", "de", "fr", "it", "pt", "nl", "pl", "sv", "tr", "ru", "cmn-latn-pinyin", "fi", "hu", "ja", "hi",
    "cs", "ro", "id", "el",
)  # fmt: skip
"""espeak-ng's, trained on. Spanish (`es`) is kept for the test."""
VARIANTS: Final = (
    "", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+klatt", "+klatt2",
    "+klatt4",
)  # fmt: skip
FLITE: Final = ("kal16", "awb", "rms")
"""flite's, trained on. `slt` is kept for the test."""
_COMMON: Final = """
the a of and to in is you that it he was for on are as with his they at be this have from or one had by word but not
what all were we when your can said there use an each which she do how their if will up other about out many then
them these so some her would make like him into time has look two more write go see number no way could people my
than first water been call who oil its now find long down day did get come made may part over new sound take only
little work know place year live me back give most very after thing our just name good sentence man think say great
where help through much before line right too mean old any same tell boy follow came want show also around form three
small set put end does another well large must big even such because turn here why ask went men read need land
different home us move try kind hand picture again change off play spell air away animal house point page letter
mother answer found study still learn should world maybe probably problem remember number bumpy puppet member blue
brown movie purple room move beautiful five very favour love leave above voice over wave wonderful warm week away
quick question language twelve swim sweet cheese choose judge measure shoes should sugar fish church watch vision
mouth both thin thank weather brother three teeth father cool food moon through school blue true you music huge few
boat home road snow open yellow alone boy noise joy point toy cow house now loud mountain sky time white light five
"""
_STARTS: Final = "p b m f v t d n s z k g l r w j sh ch pr br tr kr pl bl fl sm sp st sk kw tw h"
_VOWELS: Final = "a e i o u ai ei ou au oo ee a e i o u"
_ENDS: Final = ["", "", "", "m", "n", "p", "t", "s", "l", "r", "b", "f", "k", "ng", "v"]


@dataclass(frozen=True, slots=True)
class Spoken:
    """One utterance. `samples`: mono float32, -1..1."""

    voice: str
    rate_hz: int
    samples: FloatArray
    timing: SpeechTiming


def sentence(rng: np.random.Generator, invented: float = 0.5) -> str:
    """Words in no order that means anything: English ones, and a share of invented ones for every pair of sounds."""
    words: list[str] = []
    parts, common = (_STARTS.split(), _VOWELS.split(), _ENDS), _COMMON.split()
    for _ in range(int(rng.integers(4, 11))):
        if rng.random() < invented:
            syllables = int(rng.integers(1, 4))
            words.append("".join(str(rng.choice(part)) for _ in range(syllables) for part in parts))
        else:
            words.append(str(rng.choice(common)))
    if len(words) > 5 and rng.random() < 0.5:
        words[len(words) // 2] += ","
    return " ".join(words).capitalize() + str(rng.choice([".", ".", "?", "!"]))


_ESPEAK: Final = r"""
import ctypes as c, json, sys
class Id(c.Union):
    _fields_ = [("number", c.c_int), ("name", c.c_char_p), ("text", c.c_char * 8)]
class Event(c.Structure):
    _fields_ = [("type", c.c_int), ("uid", c.c_uint), ("position", c.c_int), ("length", c.c_int),
                ("audio_ms", c.c_int), ("sample", c.c_int), ("user", c.c_void_p), ("id", Id)]
lib = c.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libespeak-ng.so.1")
rate = lib.espeak_Initialize(2, 0, None, 3)
pcm, phones = bytearray(), []
@c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(Event))
def heard(wav, count, events):
    if wav and count > 0:
        pcm.extend(c.string_at(wav, 2 * count))
    i = 0
    while events[i].type:
        if events[i].type == 7:
            phones.append((events[i].audio_ms, events[i].id.text.decode("utf-8", "ignore")))
        i += 1
    return 0
lib.espeak_SetSynthCallback(heard)
out = sys.stdout.buffer
for line in sys.stdin:
    job = json.loads(line)
    pcm.clear(); phones.clear()
    ok = lib.espeak_SetVoiceByName(job["voice"].encode()) == 0
    for which, value in ((1, job["speed"]), (3, job["pitch"]), (4, job["range"])):
        lib.espeak_SetParameter(which, value, 0)
    text = job["text"].encode() + b"\0"
    if ok:
        lib.espeak_Synth(text, len(text), 0, 1, 0, 1, None, None)
        lib.espeak_Synchronize()
    out.write((json.dumps({"rate": rate, "bytes": len(pcm), "phones": phones}) + "\n").encode() + bytes(pcm))
    out.flush()
"""


def _answers(
    command: list[str], requests: Iterable[dict[str, Any]], missing: MissingExtraError
) -> Iterator[tuple[dict[str, Any], NDArray[np.int16]]]:
    """(rate and phones, samples) that a program answers to each request. Raises `missing` where it does not run."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            for request in requests:
                worker.stdin.write(json.dumps(request).encode() + b"\n")
                worker.stdin.flush()
                line = worker.stdout.readline()
                if not line:
                    raise missing
                head = json.loads(line)
                yield head, np.frombuffer(worker.stdout.read(head["bytes"]), np.int16)
        except BrokenPipeError as error:
            raise missing from error
        finally:
            worker.kill()


def espeak(jobs: Sequence[dict[str, Any]]) -> Iterator[Spoken]:
    """What espeak-ng says to jobs of voice, speed (words a minute), pitch and range (0..100) and text.

    Raises:
        MissingExtraError: its library is missing, or it dies.
    """
    missing = MissingExtraError("espeak-ng's library", "apt install espeak-ng")
    answers = _answers([sys.executable, "-c", _ESPEAK], jobs, missing)
    for job, (head, pcm) in zip(jobs, answers, strict=True):
        if len(head["phones"]) > 1:
            yield _of_espeak(job["voice"], head["rate"], pcm, head["phones"])


def _of_espeak(voice: str, rate: int, pcm: NDArray[np.int16], phones: list[tuple[int, str]]) -> Spoken:
    samples = pcm.astype(np.float32) / 32768.0
    end = len(samples) / rate
    symbols: list[str] = []
    starts: list[float] = []
    ends: list[float] = []
    for number, (ms, symbol) in enumerate(phones):
        at = ms / 1000.0
        until = phones[number + 1][0] / 1000.0 if number + 1 < len(phones) else end
        before = CLOSURE_BEFORE_S.get(symbol.strip("ˈˌː")[:1], 0.0)
        if before:
            until = at
            at = max(at - before, 0.0)
            if ends:
                ends[-1] = max(min(ends[-1], at), starts[-1])
        elif starts and CLOSURE_BEFORE_S.get(symbols[-1].strip("ˈˌː")[:1]):
            at = ends[-1]
        symbols.append(symbol)
        starts.append(at)
        ends.append(until)
    return Spoken(voice, rate, samples, _timing(voice, "ipa", symbols, starts, ends))


def _timing(voice: str, alphabet: Alphabet, symbols: list[str], starts: list[float], ends: list[float]) -> SpeechTiming:
    times = (np.array(starts, np.float32), np.array(ends, np.float32))
    return SpeechTiming(voice, 0, alphabet, tuple(symbols), *times)


def flite(voice: str, text: str, stretch: float = 1.0) -> Spoken:
    """What flite says. Raises MissingExtraError where it is missing, ReactdiffError where it fails."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        stretched = ["--setf", f"duration_stretch={stretch}"]
        command = ["flite", "-voice", voice, "-psdur", *stretched, "-t", text, "-o", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
            with wave.open(str(path)) as file:
                rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
        except FileNotFoundError as error:
            raise MissingExtraError("flite", "apt install flite") from error
        except (subprocess.SubprocessError, OSError, EOFError, wave.Error) as error:
            raise ReactdiffError("flite makes no sound", where=voice, todo=str(error)[:200]) from error
    words = [word.split(":") for word in done.stdout.split() if ":" in word]
    ends = [float(end) for _, end in words]
    timing = _timing(f"flite-{voice}", "arpabet", [name for name, _ in words], [0.0, *ends[:-1]], ends)
    return Spoken(f"flite-{voice}", rate, samples.astype(np.float32) / 32768.0, timing)


_PIPER: Final = r"""
import json, sys
import numpy as np
from piper import PiperVoice
voice = PiperVoice.load(sys.argv[1], include_alignments=True)
out = sys.stdout.buffer
for line in sys.stdin:
    pcm, phones, at = [], [], 0
    for chunk in voice.synthesize(json.loads(line)["text"], include_alignments=True):
        pcm.append(np.asarray(chunk.audio_int16_array, np.int16))
        for one in chunk.phoneme_alignments or ():
            phones.append((at, at + int(one.num_samples), one.phoneme))
            at += int(one.num_samples)
        at = sum(map(len, pcm))
    sound = np.concatenate(pcm).tobytes()
    out.write((json.dumps({"rate": chunk.sample_rate, "bytes": len(sound), "phones": phones}) + "\n").encode() + sound)
    out.flush()
"""


def piper(model: Path, texts: Sequence[str], python: str = sys.executable) -> Iterator[Spoken]:
    """What a piper voice says, with an interpreter that has piper-tts and onnx. Raises MissingExtraError without."""
    missing = MissingExtraError("piper-tts", "pip install piper-tts onnx")
    requests = [{"text": text} for text in texts]
    for head, pcm in _answers([python, "-c", _PIPER, str(model)], requests, missing):
        rate = head["rate"]
        rows = [(name, a / rate, b / rate) for a, b, name in head["phones"]]
        names, starts, ends = ([row[i] for row in rows] for i in range(3))
        yield Spoken("piper", rate, pcm.astype(np.float32) / 32768.0, _timing("piper", "ipa", names, starts, ends))


_INTERVAL: Final = re.compile(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "([^"]*)"')


def text_grid(path: Path, tier: str) -> list[tuple[float, float, str]]:
    """Begin and end (s) and text of every interval of a tier of Praat's TextGrid.

    Raises:
        DatasetError: missing, not text, a time is no number, or the tier is not there or says nothing.
    """
    with readable_text(path, "TextGrid") as file:
        parts = file.read().split("item [")
    rows = next((_INTERVAL.findall(part) for part in parts if f'name = "{tier}"' in part), [])
    if not any(text.strip() for _, _, text in rows):
        raise DatasetError(f"a TextGrid has no {tier}", where=str(path), todo=f'it needs a tier called "{tier}"')
    with explained(ValueError, "a TextGrid has a time that is no number", where=path, error=DatasetError):
        return [(float(begin), float(end), text) for begin, end, text in rows]


def aligned(folder: Path) -> list[Spoken]:
    """Every NAME.flac or NAME.wav of a folder with a NAME.TextGrid whose tier `phones` is ARPAbet.

    Raises:
        MediaError: there is none, or a sound is missing or cannot be read.
        DatasetError: a TextGrid has no phones.
    """
    found = []
    for path in sorted(folder.glob("*.TextGrid")):
        sounds = [path.with_suffix(ending) for ending in (".flac", ".wav") if path.with_suffix(ending).is_file()]
        if not sounds:
            raise MediaError("a TextGrid has no sound", where=str(path))
        sound = sound_of(sounds[0])
        samples = sound.samples.astype(np.float32).mean(axis=1) / 32768.0
        starts, ends, symbols = map(list, zip(*text_grid(path, "phones"), strict=True))
        found.append(Spoken(path.stem, sound.rate_hz, samples, _timing(path.stem, "arpabet", symbols, starts, ends)))
    if not found:
        raise MediaError("there is no TextGrid", where=str(folder))
    return found


def espeak_jobs(rng: np.random.Generator, count: int) -> list[dict[str, Any]]:
    """Sentences by voices of many languages, variants, speeds and pitches; every other one English."""
    jobs = []
    for number in range(count):
        language = LANGUAGES[number % len(LANGUAGES)]
        variant = str(rng.choice(VARIANTS))
        jobs.append({
            "voice": language + variant, "speed": int(rng.integers(120, 230)), "pitch": int(rng.integers(15, 85)),
            "range": int(rng.integers(20, 80)), "text": sentence(rng, 0.3 if language.startswith("en") else 0.7),
        })  # fmt: skip
    return jobs
