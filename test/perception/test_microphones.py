"""Where a voice comes from: recorded speech in rendered rooms, at two microphones."""

from __future__ import annotations

import av
import numpy as np
import pytest
from stereo import Room, chunks, int16, noisy
from synthetic_face import Actor, frontal_face
from test_tracking import Stage, mouth

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.perception import PerceptionConfig
from reactdiff_ros.perception.microphones import SOUND_M_S, Arrival, MicrophonePair
from reactdiff_ros.types import Sound

RATE = 16000
SPACING = 0.06
DRY = Room()


def speech(clips, name: str, start_s: float, seconds: float) -> np.ndarray:
    """Recorded speech, 16 kHz."""
    with av.open(str(clips(f"speech/facegood/{name}.flac"))) as file:
        samples = np.concatenate([f.to_ndarray().reshape(-1) for f in file.decode(audio=0)]).astype(float)
    return samples[round(start_s * RATE) : round((start_s + seconds) * RATE)]


@pytest.fixture(scope="module")
def talkers(clips) -> tuple[np.ndarray, np.ndarray]:
    return speech(clips, "1114_2_02", 4.0, 8.0), speech(clips, "1114_2_05", 6.0, 8.0)


def arrivals(pair: MicrophonePair, sounds: list[Sound]) -> list[Arrival]:
    found: list[Arrival] = []
    for sound in sounds:
        pair.push(sound)
        arrival = pair.latest(sound.end_ns)
        if arrival is not None and (not found or found[-1] != arrival):
            found.append(arrival)
    return found


def bearings(stereo: np.ndarray, spacing_m: float = SPACING, rate_hz: int = RATE) -> np.ndarray:
    """Directions (rad) after each 20 ms in which there was one."""
    found = []
    for arrival in arrivals(MicrophonePair(spacing_m), chunks(int16(stereo), rate_hz)):
        if arrival.clarity > 0.35:
            found.append(np.arcsin(np.clip(arrival.delay_s * SOUND_M_S / spacing_m, -1.0, 1.0)))
    return np.array(found)


@pytest.mark.clips
@pytest.mark.parametrize(
    ("room", "noise_db", "second_db", "most_deg"),
    [
        (DRY, 40, None, 0.5),
        (DRY, 5, None, 1.5),
        (Room(0.5, 0.0), 30, None, 3.0),
        (DRY, 30, -6, 6.0),
        (Room(0.4, 3.0), 15, -9, 6.0),
    ],
    ids=["quiet", "noise", "reverberation", "second talker", "all"],
)
@pytest.mark.parametrize("spacing_m", [0.02, SPACING, 0.12])
def test_the_direction_of_recorded_speech(talkers, spacing_m, room, noise_db, second_db, most_deg, record_property):
    errors = []
    for k, (bearing, second) in enumerate(((-25.0, 20.0), (10.0, -20.0), (30.0, -5.0))):
        rng = np.random.default_rng(k)
        heard = room.stereo(talkers[0], np.radians(bearing), spacing_m, RATE, rng)
        if second_db is not None:
            heard = heard + 10 ** (second_db / 20) * room.stereo(talkers[1], np.radians(second), spacing_m, RATE, rng)
        found = bearings(noisy(heard, noise_db, rng), spacing_m)
        assert len(found) > 40
        errors.append(np.median(np.abs(np.degrees(found) - bearing)))
    print(f"{spacing_m * 100:.0f} cm: {np.mean(errors):.2f} deg")
    record_property("median error of the direction, deg", float(np.mean(errors)))
    assert np.mean(errors) <= most_deg * max(1.0, (SPACING / spacing_m) ** 0.5)


def syllables(seconds: float, seed: int) -> np.ndarray:
    """Noise with the spectrum and the rhythm of speech, where the recordings are not needed."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(round(seconds * RATE))
    smooth = np.convolve(noise, np.exp(-np.arange(60) / 6.0), "same")
    t = np.arange(len(noise)) / RATE
    return smooth * (0.02 + np.clip(np.sin(2 * np.pi * 4 * t + rng.uniform(0, 6)), 0.0, None))


class Pair:
    """Two synthetic people at 20 degrees to the left and right, whose voices come from where they are."""

    def __init__(self, spacing_m: float = SPACING, **settings: bool) -> None:
        config = PerceptionConfig(microphone_spacing_m=spacing_m, **settings)
        self.actors = [Actor(120, seed=1, scale=50), Actor(520, seed=2, scale=50)]
        self.stage = Stage(*self.actors, config=config)
        self.stage.play(1.0)
        self.ids = self.stage.perception.persons()
        self.bearing = float(np.arctan(200.0 / (320.0 / np.tan(np.radians(30.0)))))

    def stereo(self, who: int, seconds: float, seed: int = 3) -> np.ndarray:
        rng = np.random.default_rng(seed)
        bearing = self.bearing * (1.0 if who else -1.0)
        return int16(noisy(Room(0.4, 6.0).stereo(syllables(seconds, seed), bearing, SPACING, RATE, rng), 25, rng))

    def talk(self, samples: np.ndarray, moving: tuple[int, ...]) -> list[tuple[float, ...]]:
        """Belief that each speaks, after each picture; lips of `moving` do, while `samples` are heard."""
        said = []
        self.stage.voice.speaking = True
        for k, sound in enumerate(chunks(samples, RATE, self.stage.t_ms * 10**6, 0.04)):
            for i, actor in enumerate(self.actors):
                actor.face = frontal_face()
                if i in moving:
                    mouth(actor, k * 0.04 + 0.3 * i, 0.1)
            self.stage.perception.observe_sound(sound)
            self.stage.t_ms += 40
            self.stage.perception.observe_picture(self.stage.world.picture(self.stage.t_ms))
            people = self.stage.perception.people
            by_id = {p.person_id: p.speaking for p in people.persons}
            said.append(tuple(by_id[i] for i in self.ids))
        return said


def right(said: list[tuple[float, ...]], who: int) -> float:
    """Share of the pictures, after the first 0.5 s, in which they are the likelier speaker by far."""
    return float(np.mean([s[who] > 0.6 > 0.3 > s[1 - who] for s in said[12:]]))


@pytest.mark.parametrize("who", [0, 1])
def test_of_two_whose_lips_move_the_voice_shows_who_speaks(who):
    both = (0, 1)
    with_it, without = Pair(), Pair(0.0)
    assert right(with_it.talk(with_it.stereo(who, 4.0), both), who) > 0.95
    assert right(with_it.talk(with_it.stereo(1 - who, 4.0), both), 1 - who) > 0.9
    assert right(without.talk(without.stereo(who, 4.0), both), who) < 0.6


def test_a_first_channel_that_is_the_right_microphone():
    pair = Pair(first_microphone_right=True)
    assert right(pair.talk(pair.stereo(0, 4.0)[:, ::-1], (0, 1)), 0) > 0.95


def test_swapped_microphones_do_not_outweigh_the_lips_and_lose_their_say():
    pair = Pair()
    for who in (0, 1, 0, 1, 0, 1):
        assert right(pair.talk(pair.stereo(who, 4.0)[:, ::-1], (who,)), who) > 0.75
    beliefs = pair.talk(pair.stereo(1, 4.0)[:, ::-1], (0, 1))
    assert right(beliefs, 0) < 0.1, "equal lips are not decided by them either"


WITHOUT_DIRECTION = {
    "mono": lambda s: s[:, :1],
    "equal": lambda s: np.repeat(s[:, :1], 2, axis=1),
    "a softer copy": lambda s: np.stack([s[:, 0], s[:, 0] // 2], axis=1),
    "dead": lambda s: s * np.array([[1, 0]], np.int16),
    "silence": np.zeros_like,
    "four channels": lambda s: np.repeat(s, 2, axis=1),
}


@pytest.mark.parametrize(
    "kind",
    [k if k in ("mono", "equal", "dead") else pytest.param(k, marks=pytest.mark.slow) for k in WITHOUT_DIRECTION],
)
def test_sound_without_a_direction_changes_nothing(kind):
    with_it, without = Pair(), Pair(0.0)
    samples = WITHOUT_DIRECTION[kind](with_it.stereo(0, 2.0))
    for moving in ((1,), (0, 1)):
        assert with_it.talk(samples, moving) == without.talk(samples, moving)


def test_the_robots_own_voice_has_no_direction():
    pair = Pair()
    heard = pair.stereo(0, 3.0)
    pair.talk(heard, (1,))
    pair.stage.perception.robot_speaking(True, pair.stage.t_ms * 10**6)
    assert max(max(s) for s in pair.talk(heard[: RATE // 2], (0, 1))) < 0.1


def test_the_direction_does_not_depend_on_how_sound_is_cut():
    stereo = Pair().stereo(1, 2.0)
    whole = MicrophonePair(SPACING)
    whole.push(Sound(NS, RATE, stereo))
    pieces = arrivals(MicrophonePair(SPACING), chunks(stereo, RATE, seconds=0.007))
    assert len(pieces) > 20
    assert whole.latest(NS + 2 * NS) == pieces[-1]


def test_the_future_changes_nothing_and_a_hole_begins_again():
    stereo = Pair().stereo(1, 3.0)
    other = np.concatenate([stereo[:RATE], stereo[RATE:, ::-1]])
    found, changed = (arrivals(MicrophonePair(SPACING), chunks(s, RATE)) for s in (stereo, other))
    assert [a for a in found if a.end_ns <= 2 * NS] == [a for a in changed if a.end_ns <= 2 * NS]
    pair = MicrophonePair(SPACING)
    arrivals(pair, chunks(stereo, RATE))
    assert pair.latest(4 * NS) is not None
    assert pair.latest(5 * NS) is None, "it is old"
    pair.push(Sound(9 * NS, RATE, stereo[:320]))
    assert pair.latest(10 * NS) is None


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 48000, 192000])
def test_other_rates(rate_hz):
    rng = np.random.default_rng(1)
    t = np.arange(2 * rate_hz) / rate_hz
    samples = np.interp(t, np.arange(2 * RATE) / RATE, syllables(2.0, 4))
    found = bearings(noisy(DRY.stereo(samples, 0.3, SPACING, rate_hz, rng), 30, rng), rate_hz=rate_hz)
    assert len(found) > 20
    assert np.median(found) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("spacing_m", [float("nan"), -0.1, 3.0, float("inf")])
def test_a_spacing_that_is_none_is_refused(spacing_m):
    with pytest.raises(ConfigError, match="microphone_spacing_m"):
        PerceptionConfig(microphone_spacing_m=spacing_m)


def test_a_place_that_is_not_known_has_no_direction():
    pair = Pair()
    for seen in pair.stage.perception._company._seen.values():
        seen.position_m = np.full(3, np.nan, np.float32)
    assert all(np.isfinite(s).all() for s in pair.talk(pair.stereo(0, 0.04), (0,)))
