"""A speech engine as a separate program: requests on stdin, sound with the times of its sounds and words on stdout.

    python synthesis_process.py espeak-ng LIBRARY DATA
    python synthesis_process.py piper VOICE.onnx

A request is one line of JSON: {"text", "voice", "speed", "pitch", "range"} (factors, 1 = as the voice has it). The
answer is one line, {"rate", "bytes", "phones": [[symbol, start_s]], "words": [[first, end, start_s]]}, followed by
16-bit mono samples; or {"error", "todo"}. espeak-ng and piper are under the GPL: they run here, not in the listener.
Imports: the standard library, and the engine.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

Answer = tuple[dict[str, Any], bytes]
_WORD, _PHONEME = 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
"""espeak's numbers of its parameters."""
_SYNCHRONOUS, _PHONES, _IPA, _DO_NOT_EXIT, _UTF8 = 2, 1, 2, 0x8000, 1
_NORMAL_WPM = 165


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )  # fmt: skip


class _VoiceInfo(ctypes.Structure):
    """The beginning of `espeak_VOICE`."""

    _fields_ = (("name", ctypes.c_char_p), ("languages", ctypes.c_char_p), ("identifier", ctypes.c_char_p))


class _RefusedError(Exception):
    """(what is wrong, what to do)."""


def espeak(library: str, data: str) -> Callable[[dict[str, Any]], Answer]:
    """espeak-ng through its library."""
    lib = ctypes.CDLL(library)
    lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceInfo))
    folder = os.path.dirname(data).encode() if data else None
    rate = lib.espeak_Initialize(_SYNCHRONOUS, 0, folder, _PHONES | _IPA | _DO_NOT_EXIT)
    if rate <= 0:
        todo = "install it again: pip install --force-reinstall espeakng-loader"
        raise _RefusedError("espeak-ng does not start", todo)
    sound, events = bytearray(), []
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))

    def heard(samples: Any, count: int, event: Any) -> int:
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        i = 0
        while event[i].type:
            e = event[i]
            events.append((e.type, e.text_position, e.length, e.sample, e.id))
            i += 1
        return 0

    callback = kind(heard)
    lib.espeak_SetSynthCallback(callback)

    def languages() -> set[str]:
        found, voices, i = set(), lib.espeak_ListVoices(None), 0
        while voices[i]:
            found.add(voices[i].contents.languages[1:].decode("utf-8", "replace"))
            i += 1
        return found

    def say(request: dict[str, Any], keep: Any = callback) -> Answer:
        del keep  # the library holds no reference to it
        voice = request["voice"] or "en"
        if lib.espeak_SetVoiceByName(voice.encode()):
            known = ", ".join(sorted(languages()))
            raise _RefusedError(f"espeak-ng has no voice {voice[:60]!r}", f"use one of {known}")
        for number, value in (
            (_RATE, _NORMAL_WPM * request["speed"]), (_PITCH, 50 * request["pitch"]), (_RANGE, 50 * request["range"]),
        ):  # fmt: skip
            lib.espeak_SetParameter(number, round(value), 0)
        sound.clear()
        events.clear()
        text = request["text"].encode()
        if lib.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None) or lib.espeak_Synchronize():
            raise _RefusedError("espeak-ng did not speak the sentence", "try another voice")
        phones = [[i.decode("utf-8", "replace") or " ", at / rate] for what, _, _, at, i in events if what == _PHONEME]
        words = [[p - 1, p - 1 + n, at / rate] for what, p, n, at, _ in events if what == _WORD and p > 0]
        return {"rate": rate, "phones": phones, "words": words}, bytes(sound)

    return say


def piper(path: str) -> Callable[[dict[str, Any]], Answer]:
    """Piper with a voice file; times come from its alignments."""
    from piper import PiperVoice, SynthesisConfig

    voice = PiperVoice.load(path, include_alignments=True)
    rate = voice.config.sample_rate
    normal = voice.config.length_scale or 1.0

    def say(request: dict[str, Any]) -> Answer:
        if request["voice"] not in ("", path):
            raise _RefusedError(f"piper speaks with {path} alone", "name that file, or no voice")
        config = SynthesisConfig(length_scale=normal / request["speed"])
        text, sound, phones, clauses, done = request["text"], bytearray(), [], [], 0.0
        for chunk in voice.synthesize(text, config, include_alignments=True):
            parts = [(part.phoneme, part.num_samples / rate) for part in chunk.phoneme_alignments or ()]
            heard, said = _sounds(parts, done)
            phones += heard
            clauses += said
            sound += chunk.audio_int16_bytes
            done = len(sound) / 2 / rate
        return {"rate": rate, "phones": phones, "words": _words(text, clauses, done)}, bytes(sound)

    return say


_ENDS = ",;:.!?"
"""What ends a clause, in a text and among piper's phonemes."""
_Clause = tuple[list[float], float]
"""When its words start, and when it ends."""


def _sounds(parts: list[tuple[str, float]], start_s: float) -> tuple[list[list[Any]], list[_Clause]]:
    """Phones [symbol, start_s] and clauses of piper's phonemes (symbol, length_s).

    Piper gives stress marks, length marks and the gaps between words times of their own. A mark belongs to its vowel;
    in a gap the next sound is heard already, or its stop is closed.
    """
    phones: list[list[Any]] = []
    clauses: list[_Clause] = []
    starts: list[float] = []
    at = begun = start_s
    stress, new_word = "", True
    for symbol, length_s in parts:
        at += length_s
        paused = not phones or phones[-1][0] == " "
        if symbol in "^$_" or symbol in _ENDS:
            phones.append([" ", begun])
            if symbol in _ENDS and starts:
                clauses.append((starts, begun))
                starts = []
        elif symbol in "\u02c8\u02cc":
            stress = symbol
            continue
        elif symbol.isspace():
            new_word = True
            if not paused:
                continue
        elif phones and (symbol in "\u02d0\u02d1" or unicodedata.combining(symbol[0])):
            phones[-1][0] += symbol
        else:
            phones.append([stress + symbol, begun])
            if new_word:
                starts.append(begun)
            new_word, stress = False, ""
        begun = at
    return phones, [*clauses, (starts, at)] if starts else clauses


def _words(text: str, clauses: list[_Clause], length_s: float) -> list[list[Any]]:
    """Words [first, end, start_s]; where a clause has more or fewer ("42", "of the"), by their share of letters."""
    written: list[list[tuple[int, int]]] = [[]]
    end = 0
    for word in text.split():
        first = text.index(word, end)
        end = first + len(word)
        written[-1].append((first, end))
        if word[-1] in _ENDS and end < len(text):
            written.append([])
    if len(written) != len(clauses):
        written = [[span for spans in written for span in spans]]
        clauses = [([at for starts, _ in clauses for at in starts], clauses[-1][1] if clauses else length_s)]
    words: list[list[Any]] = []
    for spans, (starts, end_s) in zip(written, clauses, strict=True):
        if len(starts) != len(spans):
            begin, head, letters = starts[0] if starts else 0.0, spans[0][0], max(spans[-1][1] - spans[0][0], 1)
            starts = [begin + (end_s - begin) * (first - head) / letters for first, _ in spans]
        words += [[first, end, at] for (first, end), at in zip(spans, starts, strict=True)]
    return words


def _checked(request: Any) -> dict[str, Any]:
    factors = {name: float(request.get(name, 1.0)) for name in ("speed", "pitch", "range")}
    if not all(math.isfinite(f) and 0.2 <= f <= 3.0 for f in factors.values()):
        raise ValueError(f"factors {factors}")
    return {"text": str(request["text"]), "voice": str(request.get("voice", "")), **factors}


def main(engine: str, *arguments: str) -> None:
    """Answer requests until stdin ends. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(head: dict[str, Any], sound: bytes = b"") -> None:
        answers.write(json.dumps({**head, "bytes": len(sound)}).encode() + b"\n" + sound)
        answers.flush()

    try:
        say = espeak(*arguments) if engine == "espeak-ng" else piper(*arguments)
    except Exception as error:
        what, todo = error.args if isinstance(error, _RefusedError) else (f"{engine} does not start ({error})", "")
        answer({"error": what, "todo": todo})
        return
    answer({"ready": True})
    for line in sys.stdin.buffer:
        try:
            head, sound = say(_checked(json.loads(line)))
        except _RefusedError as refused:
            head, sound = dict(zip(("error", "todo"), refused.args, strict=False)), b""
        except Exception as error:
            head, sound = {"error": f"{engine} failed ({type(error).__name__}: {error})", "todo": ""}, b""
        answer(head, sound)


if __name__ == "__main__":
    main(*sys.argv[1:])
