from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable

import kaldi_native_fbank
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.errors import WeightsError
from reactdiff_ros.perception.sound import MfccStream, mfcc_options, pitch_hz
from reactdiff_ros.perception.voice import (
    HANG_OVER_S,
    SPEECH_CERTAIN,
    VAD_WINDOW,
    OverRobot,
    UtteranceTracker,
    VoiceActivityNetwork,
    VoiceExtractor,
)
from reactdiff_ros.resampling import Resampler, mono
from reactdiff_ros.types import Sound, Voice

NS = 1_000_000_000
T0 = 1_700_000_000 * NS


def tone(hz: float, seconds: float, rate: int, level: float = 0.3) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def buzz(hz: float, seconds: float, rate: int = 16000, level: float = 0.3) -> NDArray[np.float32]:
    """A voiced source: harmonics that fall as a glottal spectrum does."""
    harmonics = range(1, int(4000 // hz) + 1)
    return sum(tone(hz * k, seconds, rate, level / k) for k in harmonics) / 2  # type: ignore[return-value]


def pcm(sound: NDArray[np.float32], channels: int = 1) -> NDArray[np.int16]:
    mono = np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16)
    return np.repeat(mono[:, None], channels, axis=1)


def chunked(samples: NDArray[np.int16], rate: int, sizes: list[int], start_ns: int = T0) -> list[Sound]:
    out, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(samples):
            return out
        out.append(Sound(start_ns + at * NS // rate, rate, samples[at : at + size]))
        at += size
    return out


def pushed(extractor: VoiceExtractor, sounds: Iterable[Sound]) -> VoiceExtractor:
    for sound in sounds:
        extractor.push(sound)
    return extractor


def hear(extractor: VoiceExtractor, sounds: list[Sound]) -> list[tuple[Voice, int]]:
    """Every value in the order it came (asked after each chunk, and within it)."""
    values: list[tuple[Voice, int]] = []
    for sound in sounds:
        extractor.push(sound)
        for moment in extractor._history:  # all of them, also those between two chunks
            if not values or moment.end_ns > values[-1][1]:
                values.append((moment.voice(), moment.end_ns))
    return values


def same(a: tuple[Voice, int], b: tuple[Voice, int]) -> bool:
    left, right = dataclasses.asdict(a[0]), dataclasses.asdict(b[0])
    mfcc = np.array_equal(left.pop("mfcc"), right.pop("mfcc"))
    return mfcc and abs(a[1] - b[1]) <= 2 and all(np.isclose(left[k], right[k], 1e-6, 1e-6, True) for k in left)


# ---- Resampling


@pytest.mark.parametrize("rate", [8000, 11025, 12345, 22050, 32000, 44100, 48000, 96000, 191999, 192000])
def test_resampler_agrees_with_soxr(rate: int) -> None:
    for hz in (120, 1000, 3000):
        signal = tone(hz, 0.5, rate)
        resampler = Resampler(rate)
        resampler.push(signal)
        ours = resampler.take(resampler.reach())
        reference = soxr.resample(signal, rate, 16000, "VHQ")[: len(ours)]
        middle = slice(1600, len(ours) - 1600)
        assert np.abs(ours[middle] - reference[middle]).max() < 2e-3 * 0.3


# ---- Features


def test_channels_are_averaged() -> None:
    samples = np.array([[1000, 3000], [-32768, -32768], [32767, -32767]], np.int16)
    assert mono(samples).tolist() == [2000 / 32768, -1.0, 0.0]
    assert mono(samples[:, :1]).tolist() == [1000 / 32768, -1.0, 32767 / 32768]


def test_mfcc_equal_kaldis_offline_result() -> None:
    signal = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
    offline = kaldi_native_fbank.OnlineMfcc(mfcc_options())
    offline.accept_waveform(16000, signal.tolist())
    offline.input_finished()
    stream, frames = MfccStream(), []
    for at in range(0, len(signal), 320):
        frame = stream.push(signal[at : at + 320])
        if frame is not None:
            frames.append(frame)
    assert len(frames) == offline.num_frames_ready == 49
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, np.array(offline.get_frame(i), np.float32))


@pytest.mark.parametrize("hz", [65, 82.4, 110, 155.6, 220, 311, 390])
def test_pitch_of_a_voiced_sound(hz: float) -> None:
    assert pitch_hz(buzz(hz, 0.04)) == pytest.approx(hz, rel=0.01)


def test_pitch_in_noise_and_without_voice() -> None:
    rng = np.random.default_rng(2)
    noisy = buzz(130, 0.04) + rng.normal(0, 0.02, 640).astype(np.float32)
    assert pitch_hz(noisy) == pytest.approx(130, rel=0.02)
    voiced = sum(pitch_hz(rng.normal(0, 0.1, 640).astype(np.float32)) > 0 for _ in range(200))
    assert voiced <= 2
    assert pitch_hz(np.zeros(640, np.float32)) == 0
    assert pitch_hz(np.full(640, 0.5, np.float32)) == 0
    assert pitch_hz(buzz(130, 0.04, level=1e-4)) == 0  # inaudible


# ---- Utterances


def track(probabilities: list[float]) -> list[bool]:
    tracker = UtteranceTracker()
    speaking = []
    for i, probability in enumerate(probabilities):
        tracker.observe(probability, i * 32_000_000, (i + 1) * 32_000_000)
        speaking.append(tracker.speaking)
    return speaking


def test_a_click_a_hovering_probability_and_a_short_dip() -> None:
    assert not any(track([0.0, 0.99, 0.0, 0.99, 0.0]))
    assert not any(track([0.7] * 60))
    assert all(track([0.95] * 10 + [0.1] * 5 + [0.95] * 10)[1:])
    assert all(track([0.95] * 3 + [0.4] * 60)[1:])


def test_utterance_and_pause_are_timed_from_the_speech_itself() -> None:
    tracker, window_ns = UtteranceTracker(), 32_000_000
    timed = []
    for i, probability in enumerate([0.0] * 10 + [1.0] * 10 + [0.0] * 20, 1):
        tracker.observe(probability, (i - 1) * window_ns, i * window_ns)
        timed.append((tracker.utterance_s(i * window_ns), tracker.pause_s(i * window_ns)))
    assert math.isnan(timed[9][1])
    assert timed[19] == (pytest.approx(0.32), 0)
    assert timed[39] == (0, pytest.approx(0.64))


@pytest.mark.parametrize("content", [None, b"not a network"])
def test_missing_or_wrong_network_is_one_sentence(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "vad.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="voice activity network") as caught:
        VoiceActivityNetwork(tmp_path / "vad.onnx")
    assert "\n" not in str(caught.value)


# ---- The extractor


@pytest.fixture(scope="module")
def speechlike() -> NDArray[np.float32]:
    rng = np.random.default_rng(5)
    parts = [buzz(110 + 40 * i, 0.2, 48000, 0.4) * np.hanning(9600).astype(np.float32) for i in range(4)]
    return np.concatenate(parts) + rng.normal(0, 0.003, 38400).astype(np.float32)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([8000, 11025, 16000, 44100, 48000]),
    st.integers(1, 4),
    st.lists(st.integers(1, 5000), min_size=1, max_size=6),
)
def test_any_cutting_into_chunks_gives_the_same_values_at_the_same_times(speechlike, rate, channels, sizes) -> None:
    samples = pcm(soxr.resample(speechlike, 48000, rate), channels)
    reference = hear(VoiceExtractor(), chunked(samples, rate, [rate // 100]))
    other = hear(VoiceExtractor(), chunked(samples, rate, sizes))
    assert len(reference) == len(other) > 50
    assert all(same(a, b) for a, b in zip(reference, other, strict=True))


def test_what_is_said_later_changes_nothing_earlier(speechlike) -> None:
    samples = pcm(speechlike)
    changed = samples.copy()
    changed[24000:] = np.random.default_rng(0).integers(-9000, 9000, (len(samples) - 24000, 1))
    a, b = (hear(VoiceExtractor(), chunked(s, 48000, [480])) for s in (samples, changed))
    cut_ns = T0 + NS // 2
    early = [(x, y) for x, y in zip(a, b, strict=True) if x[1] <= cut_ns]
    assert len(early) > 20
    assert all(x[1] == y[1] and same(x, y) and x[0].pitch_hz == y[0].pitch_hz for x, y in early)
    assert not all(same(x, y) for x, y in zip(a, b, strict=True))


def test_latest_never_tells_the_future_nor_the_stale(speechlike) -> None:
    assert VoiceExtractor().latest(T0) is None
    extractor = pushed(VoiceExtractor(), chunked(pcm(speechlike), 48000, [480]))
    end_ns = T0 + len(speechlike) * NS // 48000
    past = extractor.latest(T0 + 400_000_000)
    assert T0 + 370_000_000 < past[1] <= T0 + 400_000_000
    assert extractor.latest(T0 - NS) is None
    assert extractor.latest(end_ns + 450_000_000) is not None
    assert extractor.latest(end_ns + 600_000_000) is None
    extractor.reset()
    assert extractor.latest(end_ns) is None


def test_a_lost_chunk_a_late_chunk_and_a_jump_back(speechlike) -> None:
    sounds = chunked(pcm(speechlike), 48000, [960])
    extractor = pushed(VoiceExtractor(), [*sounds[:10], *sounds[14:], sounds[-6]])  # 80 ms are lost, one comes late
    assert extractor.holes == 1
    end_ns = sounds[-1].end_ns
    before = extractor.latest(end_ns)
    assert before[1] > end_ns - 31_000_000
    pushed(extractor, chunked(pcm(speechlike[:9600]), 48000, [960], T0 - 100 * NS))
    assert extractor.latest(end_ns) is None  # the old time line is gone
    again = extractor.latest(T0 - 100 * NS + NS // 5)
    assert math.isnan(again[0].pause_s)


def test_jittered_and_drifting_stamps_are_followed_without_holes(speechlike) -> None:
    rng = np.random.default_rng(3)
    samples = pcm(np.tile(speechlike, 5))
    extractor = VoiceExtractor()
    for sound in chunked(samples, 48000, [960]):
        true_ns = T0 + int((sound.stamp_ns - T0) * 1.0005)  # the device is 500 ppm slow
        extractor.push(dataclasses.replace(sound, stamp_ns=true_ns + int(rng.normal(0, 3e6))))
    assert extractor.holes == 0
    latest = extractor.latest(true_ns + 20_000_000)
    assert abs(true_ns + 20_000_000 - latest[1]) < 35_000_000


@given(
    st.lists(
        st.tuples(
            st.integers(-3 * NS, 3 * NS),
            st.sampled_from([8000, 16000, 44100]),
            st.integers(1, 3),
            st.integers(0, 3000),
            st.sampled_from([0, 1, 3000, 32767]),
        ),
        max_size=12,
    )
)
def test_any_sequence_of_chunks_gives_finite_values(chunks) -> None:
    extractor, rng = _SHARED, np.random.default_rng(0)
    extractor.reset()
    for stamp, rate, channels, count, level in chunks:
        samples = rng.integers(-level - 1, level + 1, (count, channels)).astype(np.int16)
        sound = Sound(T0 + stamp, rate, samples)
        extractor.push(sound)
        latest = extractor.latest(sound.end_ns)
        if latest is not None:
            voice, end_ns = latest
            assert end_ns <= sound.end_ns
            assert np.isfinite(voice.mfcc).all()
            assert 0 <= voice.speech_probability <= 1
            assert -100 <= voice.loudness_dbfs <= 0.1
            assert voice.pitch_hz == 0 or 60 <= voice.pitch_hz <= 400
            assert math.isfinite(voice.utterance_s)
            assert math.isnan(voice.pause_s) or voice.pause_s >= 0


_SHARED = VoiceExtractor()


def test_dead_microphone_and_clipping_are_noticed() -> None:
    extractor = pushed(VoiceExtractor(), chunked(np.zeros((24000, 1), np.int16), 16000, [320]))
    assert extractor.digitally_silent
    assert extractor.clipping == 0
    latest = extractor.latest(T0 + 3 * NS // 2)
    assert (latest[0].speaking, latest[0].loudness_dbfs) == (False, -100)
    pushed(extractor, chunked(pcm(np.sign(tone(100, 2, 16000, 1.0)) * 2), 16000, [320], T0 + 3 * NS // 2))
    assert not extractor.digitally_silent
    assert extractor.clipping > 0.5


# ---- Recordings


def heard(clips, name: str) -> list[tuple[Voice, int]]:
    sounds = [Sound(T0 + s.offset_ns, s.rate_hz, s.samples) for s in MediaClip(clips(name)).sound()]
    return hear(VoiceExtractor(), sounds)


@pytest.mark.clips
@pytest.mark.parametrize(
    "name",
    [
        "audio_common_elevator_music.wav",
        "reachy_wake_up_robot_sound.wav",
        "liveportrait_d12_music_7s.mp4",
        "liveportrait_d6_expressive_music_34s.mp4",
        "pyfeat_no_face_4s.mp4",
        "liveportrait_s13_fullbody_noface_4s.mp4",
        "liveportrait_d9_webcam_silent_20s.mp4",
        "liveportrait_d18_expressions_silent_7s.mp4",
        "facenet_passers_by_4s.mp4",
    ],
)
def test_music_robot_sound_and_silence_are_not_speech(clips, name: str) -> None:
    voices = [voice for voice, _ in heard(clips, name)]
    assert np.mean([voice.speech_probability >= 0.5 for voice in voices]) <= 0.07
    assert not any(voice.speaking for voice in voices)


@pytest.mark.clips
def test_turns_of_a_dialogue(clips) -> None:
    man = heard(clips, "multitalk_dialogue_man.wav")
    woman = heard(clips, "multitalk_dialogue_woman.wav")
    assert next(e for v, e in man if v.speaking) < T0 + int(0.3 * NS)
    assert T0 + int(2.1 * NS) < [e for v, e in man if v.speaking][-1] < T0 + int(2.6 * NS)
    assert T0 + int(4.6 * NS) < next(e for v, e in woman if v.speaking) < T0 + int(5.4 * NS)
    last = man[-1][0]
    assert last.pause_s == pytest.approx(8.5 - 2.2, abs=0.3)
    man_f0 = np.median([v.pitch_hz for v, _ in man if v.speaking and v.pitch_hz])
    woman_f0 = np.median([v.pitch_hz for v, _ in woman if v.speaking and v.pitch_hz])
    assert 90 < man_f0 < 160 < woman_f0 < 260


@pytest.mark.clips
def test_agreement_with_hand_labels(clips) -> None:
    turns = [
        (float(field[3]), float(field[3]) + float(field[4]))
        for field in (line.split() for line in clips("pyannote_two_speakers_30s.rttm").read_text().splitlines())
        if field and field[0] == "SPEAKER"
    ]
    agree = [
        voice.speaking == any(start <= (end_ns - T0) / NS < stop for start, stop in turns)
        for voice, end_ns in heard(clips, "pyannote_two_speakers_30s.wav")
    ]
    assert np.mean(agree) > 0.9


class Over:
    """Windows of 32 ms over the robot's voice, each of one level and with the network's probability."""

    def __init__(self) -> None:
        self.over, self.now_ns = OverRobot(), T0

    def hear(self, seconds: float, level: float, probability: float = 0.0) -> tuple[float, float]:
        """What counts in the last of them: the probability, and for how long it has sounded, s."""
        window, length_ns = np.full(VAD_WINDOW, level, np.float32), VAD_WINDOW * NS // 16000
        for _ in range(round(seconds * NS / length_ns)):
            found, began_ns = self.over.observe(probability, window, self.now_ns, self.now_ns + length_ns)
            self.now_ns += length_ns
        return found, (self.now_ns - began_ns) / NS


def test_over_the_robot_loud_sound_is_speech_from_its_beginning_once_the_network_hears_some() -> None:
    over = Over()
    assert over.hear(2.0, 0.005)[0] == 0.0, "what the canceller leaves of the robot"
    assert over.hear(0.32, 0.1, 0.02)[0] == 0.02
    probability, lasted_s = over.hear(0.064, 0.1, 0.6)
    assert probability == SPEECH_CERTAIN
    assert lasted_s == pytest.approx(0.384)
    assert over.hear(0.32, 0.1, 0.01)[0] == SPEECH_CERTAIN, "holes in the spectrum"
    assert over.hear(HANG_OVER_S / 2, 0.005, 0.01)[0] == 0.01
    assert over.hear(0.1, 0.1, 0.01)[0] == SPEECH_CERTAIN, "a stop"
    over.hear(0.5, 0.005)
    assert over.hear(0.1, 0.1, 0.01)[0] == 0.01, "a new sound has to be heard as speech again"


def test_over_the_robot_noises_and_a_canceller_that_adapts_are_no_speech() -> None:
    over = Over()
    over.hear(2.0, 0.005)
    assert over.hear(0.3, 0.8)[0] == 0.0, "a door"
    over.hear(0.5, 0.005)
    over.hear(1.5, 0.1, 0.1)
    assert over.hear(0.1, 0.1, 0.6)[0] == 0.6, "after a second, noise belongs to what the canceller leaves"
    over.hear(1.0, 0.0)
    assert over.hear(0.1, 0.3, 0.6)[0] == SPEECH_CERTAIN


def test_over_the_robot_who_speaks_when_it_begins_is_not_taken_for_what_the_canceller_leaves() -> None:
    over = Over()
    over.hear(0.5, 0.1, 0.9)
    over.hear(0.5, 0.005)
    assert over.hear(0.1, 0.1, 0.6)[0] == SPEECH_CERTAIN
