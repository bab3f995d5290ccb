"""Where a voice comes from: recorded speech in rendered rooms, at two microphones."""

import numpy as np
import pytest
from scipy.signal import fftconvolve
from synthetic_face import Actor, Stage, mouth

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.perception import PerceptionConfig
from reactdiff_ros.perception.microphones import SOUND_M_S, Arrival, MicrophonePair
from reactdiff_ros.types import Sound

RATE = 16000
SPACING = 0.06


def at_both(samples: np.ndarray, seconds: float, bearing_rad: float, spacing_m: float) -> np.ndarray:
    """(n, 2): the same sound so much later, from a direction that is positive to the right."""
    spectrum, hz = np.fft.rfft(samples, 2 * len(samples)), np.fft.rfftfreq(2 * len(samples), 1 / RATE)
    late = spacing_m / SOUND_M_S * np.sin(bearing_rad) / 2
    sides = [np.fft.irfft(spectrum * np.exp(-2j * np.pi * hz * (seconds + way))) for way in (late, -late)]
    return np.stack(sides, axis=1)[: len(samples)]


DRY = (0.0, 100.0)


def in_room(samples, bearing_rad: float, rng, room: tuple[float, float], spacing_m: float = SPACING) -> np.ndarray:
    """(n, 2): a talker at `bearing_rad` with six early reflections and a diffuse tail.

    `room`: time (s) in which its sound falls by 60 dB; direct sound over reverberation, dB.
    """
    decay_s, direct_db = room
    samples = samples / np.sqrt((samples**2).mean())
    out = at_both(samples, 0.0, bearing_rad, spacing_m)
    if room == DRY:
        return out
    t = np.arange(round(decay_s * RATE)) / RATE
    tail = rng.standard_normal((len(t), 2)) * (10 ** (-3 * t / decay_s) * (t > 0.02))[:, None]
    echoes = fftconvolve(samples[:, None], tail, axes=0)[: len(samples)]
    echoes /= np.sqrt((echoes**2).mean())
    for after in rng.uniform(0.002, 0.03, 6):
        echoes += 0.35 * at_both(samples, after, rng.uniform(-np.pi / 2, np.pi / 2), spacing_m)
    return out + echoes * 10 ** (-direct_db / 20) / np.sqrt((echoes**2).mean())


def int16(stereo: np.ndarray, noise_db: float, rng: np.random.Generator) -> np.ndarray:
    """With noise of its own at each microphone."""
    level = np.sqrt((stereo**2).mean()) * 10 ** (-noise_db / 20)
    noisy = 2000 * (stereo + level * rng.standard_normal(stereo.shape))
    return np.clip(np.round(noisy), -32768, 32767).astype(np.int16)


def chunks(samples: np.ndarray, start_ns: int = NS, seconds: float = 0.02) -> list[Sound]:
    size = round(seconds * RATE)
    return [Sound(start_ns + i * NS // RATE, RATE, samples[i : i + size]) for i in range(0, len(samples), size)]


def syllables(seconds: float) -> np.ndarray:
    """Noise with the spectrum and the rhythm of speech, where the recordings are not needed."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(round(seconds * RATE))
    smooth = np.convolve(noise, np.exp(-np.arange(60) / 6.0), "same")
    t = np.arange(len(noise)) / RATE
    return smooth * (0.02 + np.clip(np.sin(2 * np.pi * 4 * t + rng.uniform(0, 6)), 0.0, None))


def arrivals(pair: MicrophonePair, sounds: list[Sound]) -> list[Arrival]:
    found: list[Arrival] = []
    for sound in sounds:
        pair.push(sound)
        arrival = pair.latest(sound.end_ns)
        if arrival is not None and (not found or found[-1] != arrival):
            found.append(arrival)
    return found


@pytest.fixture(scope="module")
def talkers(clips) -> list[np.ndarray]:
    """Eight seconds of recorded speech each, 16 kHz."""

    def spoken(name: str, start_s: int) -> np.ndarray:
        samples = [item.samples[:, 0] for item in MediaClip(clips(f"speech/facegood/{name}.flac")).sound()]
        return np.concatenate(samples)[start_s * RATE :][: 8 * RATE].astype(float)

    return [spoken("1114_2_02", 4), spoken("1114_2_05", 6)]


@pytest.mark.clips
@pytest.mark.parametrize(
    ("room", "noise_db", "second_db", "most_deg"),
    [
        (DRY, 40, None, 0.5),
        (DRY, 5, None, 1.5),
        ((0.5, 0.0), 30, None, 3.0),
        (DRY, 30, -6, 6.0),
        ((0.4, 3.0), 15, -9, 6.0),
    ],
    ids=["quiet", "noise", "reverberation", "second talker", "all"],
)
@pytest.mark.parametrize("spacing_m", [0.02, SPACING, 0.12])
def test_the_direction_of_recorded_speech(talkers, spacing_m, room, noise_db, second_db, most_deg):
    errors = []
    for k, (bearing, second) in enumerate(((-25.0, 20.0), (10.0, -20.0), (30.0, -5.0))):
        rng = np.random.default_rng(k)
        heard = in_room(talkers[0], np.radians(bearing), rng, room, spacing_m)
        if second_db is not None:
            other = in_room(talkers[1], np.radians(second), rng, room, spacing_m)
            heard = heard + 10 ** (second_db / 20) * other
        found = arrivals(MicrophonePair(spacing_m), chunks(int16(heard, noise_db, rng)))
        clear = np.array([a.delay_s for a in found if a.clarity > 0.35])
        assert len(clear) > 40
        found_deg = np.degrees(np.arcsin(np.clip(clear * SOUND_M_S / spacing_m, -1.0, 1.0)))
        errors.append(np.median(np.abs(found_deg - bearing)))
    print(f"{spacing_m * 100:.0f} cm: {np.mean(errors):.2f} deg")
    assert np.mean(errors) <= most_deg * max(1.0, (SPACING / spacing_m) ** 0.5)


class Pair:
    """Two synthetic people at 20 degrees to the left and right, whose voices come from where they are."""

    def __init__(self, spacing_m: float = SPACING, **settings: bool) -> None:
        self.actors = [Actor(120, seed=1, scale=50), Actor(520, seed=2, scale=50)]
        self.stage = Stage(*self.actors, config=PerceptionConfig(microphone_spacing_m=spacing_m, **settings))
        self.stage.play(1.0)
        self.ids = self.stage.perception.persons()

    def talk(self, samples: np.ndarray, moving: tuple[int, ...]) -> list[tuple[float, ...]]:
        """Belief that each speaks, after each picture; lips of `moving` do, while `samples` are heard."""
        said, perception = [], self.stage.perception
        self.stage.voice.speaking = True
        for k, sound in enumerate(chunks(samples, start_ns=self.stage.t_ms * 10**6, seconds=0.04)):
            for i, actor in enumerate(self.actors):
                mouth(actor, k * 0.04 + 0.3 * i, 0.1 if i in moving else 0.0)
            perception.observe_sound(sound)
            self.stage.t_ms += 40
            perception.observe_picture(self.stage.world.picture(self.stage.t_ms))
            by_id = {p.person_id: p.speaking for p in perception.people.persons}
            said.append(tuple(by_id[i] for i in self.ids))
        return said


def stereo(who: int, seconds: float) -> np.ndarray:
    """The voice of one of the `Pair` in a room."""
    rng, bearing = np.random.default_rng(3), np.arctan(200 / 320 * np.tan(np.radians(30.0)))
    heard = in_room(syllables(seconds), bearing * (1 if who else -1), rng, (0.4, 6.0))
    return int16(heard, 25, rng)


def right(said: list[tuple[float, ...]], who: int) -> float:
    """Share of the pictures, after the first 0.5 s, in which they are the likelier speaker by far."""
    return float(np.mean([s[who] > 0.6 > 0.3 > s[1 - who] for s in said[12:]]))


def test_of_two_whose_lips_move_the_voice_shows_who_speaks():
    both, pair = (0, 1), Pair()
    assert right(pair.talk(stereo(0, 4.0), both), 0) > 0.95
    assert right(pair.talk(stereo(1, 4.0), both), 1) > 0.9
    assert right(Pair(0.0).talk(stereo(0, 4.0), both), 0) < 0.6
    assert right(Pair(first_microphone_right=True).talk(stereo(0, 4.0)[:, ::-1], both), 0) > 0.95


def test_swapped_microphones_do_not_outweigh_the_lips_and_lose_their_say():
    pair = Pair()
    for who in (0, 1, 0, 1, 0, 1):
        assert right(pair.talk(stereo(who, 4.0)[:, ::-1], (who,)), who) > 0.75
    assert right(pair.talk(stereo(1, 4.0)[:, ::-1], (0, 1)), 0) < 0.1, "equal lips"


@pytest.mark.parametrize("channels", [[0], [0, 0], [0, 2], [0, 0, 1, 1]], ids=["mono", "equal", "dead", "four"])
def test_sound_without_a_direction_changes_nothing(channels):
    with_it, without, sound = Pair(), Pair(0.0), stereo(0, 2.0)
    samples = np.column_stack([sound, 0 * sound[:, 0]])[:, channels]
    for moving in ((1,), (0, 1)):
        assert with_it.talk(samples, moving) == without.talk(samples, moving)


def test_neither_how_sound_is_cut_nor_the_future_changes_a_direction_and_a_hole_begins_again():
    samples, pair, whole = stereo(1, 3.0), MicrophonePair(SPACING), MicrophonePair(SPACING)
    whole.push(Sound(NS, RATE, samples))
    found = arrivals(pair, chunks(samples, seconds=0.007))
    assert len(found) > 20
    assert whole.latest(4 * NS) == pair.latest(4 * NS) == found[-1]
    other = np.concatenate([samples[:RATE], samples[RATE:, ::-1]])
    changed = arrivals(MicrophonePair(SPACING), chunks(other, seconds=0.007))
    assert [a for a in found if a.end_ns <= 2 * NS] == [a for a in changed if a.end_ns <= 2 * NS]
    assert pair.latest(5 * NS) is None, "it is old"
    pair.push(Sound(9 * NS, RATE, samples[:320]))
    assert pair.latest(10 * NS) is None
