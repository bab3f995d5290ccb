"""The speaker's voice: its features, when it speaks, and the same values however the sound comes."""

import dataclasses
import itertools
import math

import kaldi_native_fbank
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.perception.sound import MfccStream, mfcc_options, pitch_hz
from reactdiff_ros.perception.voice import SPEECH_CERTAIN, VAD_WINDOW, OverRobot, UtteranceTracker, VoiceExtractor
from reactdiff_ros.resampling import Resampler, mono
from reactdiff_ros.types import Sound, Voice

T0 = 1_700_000_000 * NS
WINDOW_NS = VAD_WINDOW * NS // 16000


def tone(hz: float, seconds: float, rate: int, level: float = 0.3) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def buzz(hz: float, seconds: float, rate: int = 16000, level: float = 0.3) -> NDArray[np.float32]:
    """A voiced source: harmonics that fall as a glottal spectrum does."""
    harmonics = range(1, int(4000 // hz) + 1)
    return sum(tone(hz * k, seconds, rate, level / k) for k in harmonics) / 2  # type: ignore[return-value]


def pcm(sound: NDArray[np.float32], channels: int = 1) -> NDArray[np.int16]:
    samples = np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16)
    return np.repeat(samples[:, None], channels, axis=1)


def chunked(samples: NDArray[np.int16], rate: int, sizes: list[int], start_ns: int = T0) -> list[Sound]:
    ends = itertools.takewhile(lambda at: at < len(samples), itertools.accumulate(itertools.cycle(sizes)))
    cuts = itertools.pairwise([0, *ends, len(samples)])
    return [Sound(start_ns + at * NS // rate, rate, samples[at:end]) for at, end in cuts]


def heard(sounds: list[Sound], extractor: VoiceExtractor | None = None) -> VoiceExtractor:
    extractor = extractor or VoiceExtractor()
    for sound in sounds:
        extractor.push(sound)
    return extractor


def values_of(sounds: list[Sound]) -> list[tuple[Voice, int]]:
    """Every value in the order it came, also those between the ends of two chunks."""
    extractor, values = VoiceExtractor(), {}
    for sound in sounds:
        extractor.push(sound)
        values |= {moment.end_ns: moment.voice() for moment in extractor._history if moment.end_ns not in values}
    return [(voice, end_ns) for end_ns, voice in values.items()]


def same(a: tuple[Voice, int], b: tuple[Voice, int]) -> bool:
    left, right = dataclasses.asdict(a[0]), dataclasses.asdict(b[0])
    mfcc = np.array_equal(left.pop("mfcc"), right.pop("mfcc"))
    return mfcc and abs(a[1] - b[1]) <= 2 and all(np.isclose(left[k], right[k], 1e-6, 1e-6, True) for k in left)


@pytest.mark.parametrize("rate", [8000, 12345, 22050, 44100, 48000, 191999])
def test_resampler_agrees_with_soxr(rate: int) -> None:
    for hz in (120, 1000, 3000):
        signal, resampler = tone(hz, 0.5, rate), Resampler(rate)
        resampler.push(signal)
        ours = resampler.take(resampler.reach())
        reference = soxr.resample(signal, rate, 16000, "VHQ")[: len(ours)]
        assert np.abs(ours - reference)[1600:-1600].max() < 2e-3 * 0.3
    samples = np.array([[1000, 3000], [-32768, -32768], [32767, -32767]], np.int16)
    assert mono(samples).tolist() == [2000 / 32768, -1.0, 0.0]


def test_mfcc_equal_kaldis_offline_result() -> None:
    signal = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
    offline = kaldi_native_fbank.OnlineMfcc(mfcc_options())
    offline.accept_waveform(16000, signal.tolist())
    offline.input_finished()
    stream = MfccStream()
    first, *frames = (stream.push(signal[at : at + 320]) for at in range(0, len(signal), 320))
    assert first is None
    assert len(frames) == offline.num_frames_ready == 49
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, np.array(offline.get_frame(i), np.float32))


def test_pitch_of_a_voiced_sound_in_noise_and_without_voice() -> None:
    for hz in (65, 82.4, 110, 155.6, 220, 311, 390):
        assert pitch_hz(buzz(hz, 0.04)) == pytest.approx(hz, rel=0.01)
    noise = np.random.default_rng(2).normal(0, 1, (201, 640)).astype(np.float32)
    assert pitch_hz(buzz(130, 0.04) + 0.02 * noise[0]) == pytest.approx(130, rel=0.02)
    assert sum(pitch_hz(0.1 * window) > 0 for window in noise[1:]) <= 2
    assert pitch_hz(np.full(640, 0.5, np.float32)) == 0
    assert pitch_hz(buzz(130, 0.04, level=1e-4)) == 0  # inaudible


def track(*probabilities: float) -> list[tuple[bool, float, float]]:
    """After each window: whether someone speaks, for how long, and how long a pause lasts, s."""
    tracker, found = UtteranceTracker(), []
    for i, probability in enumerate(probabilities, 1):
        tracker.observe(probability, (i - 1) * WINDOW_NS, i * WINDOW_NS)
        found.append((tracker.speaking, tracker.utterance_s(i * WINDOW_NS), tracker.pause_s(i * WINDOW_NS)))
    return found


def test_speech_begins_and_ends_with_hysteresis_and_is_timed_from_its_own_beginning_and_end() -> None:
    for no_speech in ([0.0, 0.99, 0.0, 0.99, 0.0], [0.7] * 60):  # clicks, and a probability that hovers
        assert not any(speaking for speaking, *_ in track(*no_speech))
    for speech in ([0.95] * 10 + [0.1] * 5 + [0.95] * 10, [0.95] * 3 + [0.4] * 60):  # a short dip, and less certainty
        assert all(speaking for speaking, *_ in track(*speech)[1:])
    timed = track(*[0.0] * 10, *[1.0] * 10, *[0.0] * 20)
    assert math.isnan(timed[9][2])
    assert timed[19] == (True, pytest.approx(0.32), 0)
    assert timed[39] == (False, 0, pytest.approx(0.64))


def test_over_the_robot_loud_sound_is_speech_from_its_beginning_once_the_network_hears_some() -> None:
    over, starts = OverRobot(), itertools.count(T0, WINDOW_NS)

    def hear(seconds: float, level: float, probability: float = 0.0) -> tuple[float, float]:
        """What counts in the last window: the probability, and for how long it has sounded, s."""
        for _ in range(round(seconds * NS / WINDOW_NS)):
            end_ns = (start_ns := next(starts)) + WINDOW_NS
            found, began_ns = over.observe(probability, np.full(VAD_WINDOW, level, np.float32), start_ns, end_ns)
        return found, (end_ns - began_ns) / NS

    assert hear(2.0, 0.005)[0] == 0.0, "what the canceller leaves of the robot"
    assert hear(0.32, 0.1, 0.02)[0] == 0.02
    assert hear(0.064, 0.1, 0.6) == (SPEECH_CERTAIN, pytest.approx(0.384))
    assert hear(0.32, 0.1, 0.01)[0] == SPEECH_CERTAIN, "holes in the spectrum"
    assert hear(0.1, 0.005, 0.01)[0] == 0.01
    assert hear(0.1, 0.1, 0.01)[0] == SPEECH_CERTAIN, "a stop"
    hear(0.5, 0.005)
    hear(1.5, 0.1, 0.01)
    assert hear(0.1, 0.1, 0.6)[0] == 0.6, "after a second, noise belongs to what the canceller leaves"


@pytest.fixture(scope="module")
def speechlike() -> NDArray[np.float32]:
    """0.8 s at 48 kHz."""
    parts = [buzz(110 + 40 * i, 0.2, 48000, 0.4) * np.hanning(9600).astype(np.float32) for i in range(4)]
    return np.concatenate(parts) + np.random.default_rng(5).normal(0, 0.003, 38400).astype(np.float32)


SIZES = st.lists(st.integers(1, 5000), min_size=1, max_size=6)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([8000, 11025, 16000, 44100, 48000]), st.integers(1, 4), SIZES)
def test_any_cutting_into_chunks_gives_the_same_values_at_the_same_times(speechlike, rate, channels, sizes) -> None:
    samples = pcm(soxr.resample(speechlike, 48000, rate), channels)
    reference, other = (values_of(chunked(samples, rate, cuts)) for cuts in ([rate // 100], sizes))
    assert len(reference) == len(other) > 50
    assert all(same(a, b) for a, b in zip(reference, other, strict=True))


def test_what_is_said_later_changes_nothing_earlier(speechlike) -> None:
    samples, changed = pcm(speechlike), pcm(speechlike)
    changed[24000:] = np.random.default_rng(0).integers(-9000, 9000, (len(samples) - 24000, 1))
    a, b = (values_of(chunked(s, 48000, [480])) for s in (samples, changed))
    early = [(x, y) for x, y in zip(a, b, strict=True) if x[1] <= T0 + NS // 2]
    assert len(early) > 20
    assert all(x[1] == y[1] and same(x, y) for x, y in early)
    assert not same(a[-1], b[-1])


def test_the_newest_voice_is_never_of_the_future_nor_stale_and_holes_and_jumps_back_are_found(speechlike) -> None:
    assert VoiceExtractor().latest(T0) is None
    sounds = chunked(pcm(speechlike), 48000, [960])
    end_ns = sounds[-1].end_ns
    extractor = heard([*sounds[:22], *sounds[26:], sounds[-6]])  # 80 ms are lost, one is late
    assert extractor.holes == 1
    assert T0 + 370_000_000 < extractor.latest(T0 + 400_000_000)[1] <= T0 + 400_000_000
    assert extractor.latest(end_ns)[1] > end_ns - 31_000_000
    assert extractor.latest(end_ns + 450_000_000) is not None
    assert extractor.latest(end_ns + 600_000_000) is extractor.latest(T0 - NS) is None
    heard(chunked(pcm(speechlike[:9600]), 48000, [960], T0 - 100 * NS), extractor)
    assert extractor.latest(end_ns) is None, "the old time line is gone"
    assert math.isnan(extractor.latest(T0 - 100 * NS + NS // 5)[0].pause_s)


def test_jittered_and_drifting_stamps_are_followed_without_holes(speechlike) -> None:
    rng, extractor = np.random.default_rng(3), VoiceExtractor()
    for sound in chunked(pcm(np.tile(speechlike, 5)), 48000, [960]):
        true_ns = T0 + int((sound.stamp_ns - T0) * 1.0005)  # the device is 500 ppm slow
        extractor.push(dataclasses.replace(sound, stamp_ns=true_ns + int(rng.normal(0, 3e6))))
    assert extractor.holes == 0
    assert abs(true_ns + 20_000_000 - extractor.latest(true_ns + 20_000_000)[1]) < 35_000_000


RATES, LEVELS = st.sampled_from([8000, 16000, 44100]), st.sampled_from([0, 1, 3000, 32767])
CHUNKS = st.tuples(st.integers(-3 * NS, 3 * NS), RATES, st.integers(1, 3), st.integers(0, 3000), LEVELS)
SHARED = VoiceExtractor()


@given(st.lists(CHUNKS, max_size=12))
def test_any_sequence_of_chunks_gives_finite_values(chunks) -> None:
    rng = np.random.default_rng(0)
    SHARED.reset()
    for stamp, rate, channels, count, level in chunks:
        sound = Sound(T0 + stamp, rate, rng.integers(-level - 1, level + 1, (count, channels)).astype(np.int16))
        SHARED.push(sound)
        voice, end_ns = SHARED.latest(sound.end_ns) or (None, 0)
        if voice is not None:
            assert end_ns <= sound.end_ns
            assert np.isfinite([*voice.mfcc, voice.utterance_s]).all()
            assert 0 <= voice.speech_probability <= 1
            assert -100 <= voice.loudness_dbfs <= 0.1
            assert voice.pitch_hz == 0 or 60 <= voice.pitch_hz <= 400
            assert math.isnan(voice.pause_s) or voice.pause_s >= 0


def test_dead_microphone_and_clipping_are_noticed() -> None:
    extractor = heard(chunked(np.zeros((24000, 1), np.int16), 16000, [320]))
    assert (extractor.digitally_silent, extractor.clipping) == (True, 0)
    silence, _ = extractor.latest(T0 + 3 * NS // 2)
    assert (silence.speaking, silence.loudness_dbfs) == (False, -100)
    heard(chunked(pcm(np.sign(tone(100, 2, 16000, 1.0)) * 2), 16000, [320], T0 + 3 * NS // 2), extractor)
    assert extractor.clipping > 0.5
    assert not extractor.digitally_silent


def recorded(clips, name: str) -> list[tuple[Voice, float]]:
    """Voices with the end of what was heard, s."""
    sounds = [Sound(T0 + s.offset_ns, s.rate_hz, s.samples) for s in MediaClip(clips(name)).sound()]
    return [(voice, (end_ns - T0) / NS) for voice, end_ns in values_of(sounds)]


NO_SPEECH = [
    "audio_common_elevator_music.wav", "reachy_wake_up_robot_sound.wav", "liveportrait_d12_music_7s.mp4",
    "liveportrait_d6_expressive_music_34s.mp4", "pyfeat_no_face_4s.mp4", "liveportrait_s13_fullbody_noface_4s.mp4",
    "liveportrait_d9_webcam_silent_20s.mp4", "liveportrait_d18_expressions_silent_7s.mp4", "facenet_passers_by_4s.mp4",
]  # fmt: skip


@pytest.mark.clips
@pytest.mark.parametrize("name", NO_SPEECH)
def test_music_robot_sound_and_silence_are_not_speech(clips, name: str) -> None:
    voices = [voice for voice, _ in recorded(clips, name)]
    assert np.mean([voice.speech_probability >= 0.5 for voice in voices]) <= 0.07
    assert not any(voice.speaking for voice in voices)


@pytest.mark.clips
def test_turns_of_a_dialogue_and_hand_labels(clips) -> None:
    man, woman = (recorded(clips, f"multitalk_dialogue_{who}.wav") for who in ("man", "woman"))
    his, hers = ([(v.pitch_hz, end_s) for v, end_s in who if v.speaking] for who in (man, woman))
    assert his[0][1] < 0.3
    assert 2.1 < his[-1][1] < 2.6
    assert 4.6 < hers[0][1] < 5.4
    assert man[-1][0].pause_s == pytest.approx(8.5 - 2.2, abs=0.3)
    his_hz, her_hz = (np.median([hz for hz, _ in who if hz]) for who in (his, hers))
    assert 90 < his_hz < 160 < her_hz < 260
    lines = [line.split() for line in clips("pyannote_two_speakers_30s.rttm").read_text().splitlines()]
    turns = [(float(field[3]), float(field[3]) + float(field[4])) for field in lines if field[:1] == ["SPEAKER"]]
    voices = recorded(clips, "pyannote_two_speakers_30s.wav")
    assert np.mean([v.speaking == any(a <= end_s < b for a, b in turns) for v, end_s in voices]) > 0.9
