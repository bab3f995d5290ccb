"""The echo canceller in a simulated room: impulse response, delay, noise; heard with the voice-activity network."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.perception.voice import VoiceActivityNetwork
from reactdiff_ros.speech.engines import Engine, Manner, pieces
from reactdiff_ros.types import Sound

pytest.importorskip("pywebrtc_audio", reason="pywebrtc-audio is not installed")

from reactdiff_ros.capture.echo import EchoCanceller

RATE, OWN_RATE = 16000, 22050
T0 = 1_700_000_000 * NS
BLOCK = RATE // 50
TEXT = (
    "I have been thinking about what you said. It is a good plan, but we need more time for it. The weather will be "
    "fine on Sunday, so we could go to the lake, take a boat, and stay there until the evening. What do you think? "
    "There is a small restaurant as well, where they have fish and bread and something to drink for everybody."
)


@pytest.fixture(scope="module")
def robot() -> NDArray[np.int16]:
    engine = Engine("espeak-ng")
    sound = np.concatenate([engine.speak(piece, Manner()).samples for piece in pieces(TEXT)])
    engine.close()
    return sound


@pytest.fixture
def voices(clips: Callable[[str], Path]) -> list[NDArray[np.float64]]:
    """3 s each of real voices that begin after a silence, at 16 kHz, their first speech after 0.1 s."""
    with av.open(str(clips("silero_test_60s.wav"))) as file:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    found = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
    speaks = speech(found)
    begins = [
        i for i in range(15, len(speaks) - 100)
        if speaks[i] > 0.5 and (speaks[i - 12 : i] < 0.3).all() and (speaks[i : i + 25] > 0.5).mean() > 0.7
    ]  # fmt: skip
    return [found[i * 512 - RATE // 10 : i * 512 + 3 * RATE].astype(float) for i in begins]


def room(sound: NDArray[np.int16], delay_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """What a microphone hears of the loudspeaker: 22.05 to 16 kHz, direct sound after `delay_s`, 0.25 s of echoes."""
    at = np.arange(int(len(sound) * RATE / OWN_RATE)) * OWN_RATE / RATE
    played = np.interp(at, np.arange(len(sound)), sound.astype(float))
    tail = rng.standard_normal(RATE // 4) * np.exp(-np.arange(RATE // 4) / (0.05 * RATE)) * 0.08
    response = np.concatenate([np.zeros(round(delay_s * RATE)), [1.0], tail])
    count = len(played) + len(response)
    return np.fft.irfft(np.fft.rfft(played, count) * np.fft.rfft(response, count), count)[: len(played)]


def heard(near: NDArray[np.float64], robot: NDArray[np.int16] | None) -> NDArray[np.int16]:
    """What the canceller leaves of the microphone's sound, chunk by chunk as the node gets them."""
    canceller = EchoCanceller()
    own = [] if robot is None else range(0, len(robot), OWN_RATE // 50)
    chunks = [Sound(T0 + i * NS // OWN_RATE, OWN_RATE, robot[i : i + OWN_RATE // 50, None]) for i in own]
    out = []
    for i in range(0, len(near) - BLOCK + 1, BLOCK):
        now_ns = T0 + (i + BLOCK) * NS // RATE
        while chunks and chunks[0].stamp_ns < now_ns + 100_000_000:
            canceller.spoken(chunks.pop(0))
        block = Sound(T0 + i * NS // RATE, RATE, np.clip(near[i : i + BLOCK, None], -32768, 32767).astype(np.int16))
        cleaned = canceller.clean(block) if canceller.hears(block) and canceller.able(block) else block
        assert cleaned is not None
        assert cleaned.stamp_ns == block.stamp_ns
        assert cleaned.clean is canceller.hears(block)
        out.append(cleaned.samples[:, 0])
    return np.concatenate(out)


def speech(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """Probability of speech every 32 ms."""
    network = VoiceActivityNetwork()
    windows = sound[: len(sound) // 512 * 512].reshape(-1, 512).astype(np.float32) / 32768
    return np.array([network.probability(window) for window in windows])


def level_db(sound: NDArray[np.generic]) -> float:
    return float(10 * np.log10((sound.astype(float) ** 2).mean() + 1e-9))


@pytest.mark.parametrize(("delay_s", "seed"), [(0.0, 0), (0.03, 1), (0.12, 2)])
def test_the_robot_does_not_hear_itself(robot: NDArray[np.int16], delay_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    near = 0.5 * room(robot, delay_s, rng) + 20 * rng.standard_normal(int(len(robot) * RATE / OWN_RATE))
    left = heard(near, robot)
    before, after = speech(near.astype(np.int16)), speech(left)
    print(f"delay {delay_s}: speech {np.mean(before > 0.5):.3f} before, {np.mean(after > 0.5):.4f} after,",
          f"ERLE {level_db(near[3 * RATE :]) - level_db(left[3 * RATE :]):.1f} dB")  # fmt: skip
    assert np.mean(before > 0.5) > 0.6
    assert np.mean(after > 0.5) <= 0.01


def test_a_person_who_is_as_loud_as_the_robot_is_heard_over_it(
    robot: NDArray[np.int16], voices: list[NDArray[np.float64]]
) -> None:
    late_s = []
    for seed, person in enumerate(voices[:5]):
        rng = np.random.default_rng(seed)
        near = 0.5 * room(robot, 0.03, rng)
        near += 20 * rng.standard_normal(len(near))
        start = (4 + seed % 3) * RATE
        place = slice(start, start + len(person))
        near[place] += person * np.sqrt((near[place] ** 2).mean() / (person**2).mean())  # 0 dB
        found = np.flatnonzero(speech(heard(near, robot)) > 0.5)
        late_s.append((found[found >= (start + RATE // 10) // 512][0] + 1) * 512 / RATE - start / RATE - 0.1)
    print("barge-in at 0 dB heard after", np.round(late_s, 2))
    assert np.median(late_s) <= 0.4
    assert np.mean(np.array(late_s) <= 0.5) >= 0.8


def test_sound_is_passed_on_as_it_is_until_the_robot_speaks() -> None:
    rng = np.random.default_rng(0)
    near = 1000 * rng.standard_normal(RATE)
    assert (heard(near, None) == near[: len(near) // BLOCK * BLOCK].astype(np.int16)).all()
    canceller = EchoCanceller()
    canceller.spoken(Sound(T0, OWN_RATE, np.ones((441, 2), np.int16)))
    for rate, channels, works in ((16000, 1, True), (48000, 2, True), (44100, 1, False), (16000, 4, False)):
        assert canceller.able(Sound(T0, rate, np.zeros((rate // 50, channels), np.int16))) is works
    assert not canceller.hears(Sound(T0 + 3 * NS, 16000, np.zeros((320, 1), np.int16)))


def test_odd_chunks_keep_their_time() -> None:
    canceller = EchoCanceller()
    canceller.spoken(Sound(T0, 16000, np.zeros((16000, 1), np.int16)))
    at, found = 0, []
    for count in (100, 333, 7, 1000, 160, 481):
        cleaned = canceller.clean(Sound(T0 + at * NS // RATE, RATE, np.zeros((count, 2), np.int16)))
        at += count
        found += [cleaned] if cleaned is not None else []
    assert sum(len(c.samples) for c in found) == at // 160 * 160
    assert all(abs(b.stamp_ns - a.end_ns) < 10 for a, b in itertools.pairwise(found))
