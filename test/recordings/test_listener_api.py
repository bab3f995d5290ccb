"""`from reactdiff_ros import Listener`: the API that README shows, on the demo speaker."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from bag_making import demo_bag
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros import FaceTrack, Listener
from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.cli.main import cli
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import INDEX, LOWER, UPPER
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.recordings.bags.read import open_source
from reactdiff_ros.resources import demo_clip_path

SECONDS = 2.0


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_bag(tmp_path_factory.mktemp("api") / "talk", SECONDS)


@pytest.fixture(scope="module")
def track(recording: Path) -> FaceTrack:
    return Listener(policy="rules", seed=3).react(recording)


def test_a_track_has_fifty_faces_a_second_within_bounds(track: FaceTrack) -> None:
    assert track.complete
    assert track.notes == []
    assert len(track) == len(track.times) == len(track.faces)
    assert abs(len(track) - 50 * SECONDS) <= 10  # it runs on until the last event has acted
    assert np.allclose(np.diff(track.times), 0.02, atol=1e-6)
    assert (track.faces >= LOWER).all()
    assert (track.faces <= UPPER).all()
    assert track.faces.std(axis=0).max() > 0.01
    assert np.array_equal(track["eyeBlinkLeft"], track.faces[:, INDEX["eyeBlinkLeft"]])
    with pytest.raises(KeyError):
        track["smile"]


def test_seed_and_settings_decide_every_bit(recording: Path, track: FaceTrack) -> None:
    again = Listener(policy="rules", seed=3).react(recording)
    other = Listener(policy="rules", seed=4).react(recording)
    still = Listener(policy="rules", seed=3, stillness=1.0, intensity=0.0).react(recording)
    assert np.array_equal(again.faces, track.faces)
    assert not np.array_equal(other.faces, track.faces)
    assert still["mouthSmileLeft"].max() < track.faces.max()


def test_it_is_saved_as_what_the_name_says(track: FaceTrack, tmp_path: Path) -> None:
    with np.load(track.save(tmp_path / "a" / "faces.npz")) as arrays:
        assert np.array_equal(arrays["coefficients"], track.faces)
        assert np.array_equal(arrays["times"], track.times)
        assert tuple(arrays["names"]) == track.names
    table = track.save(tmp_path / "faces.csv").read_text().splitlines()
    assert table[0].split(",")[:2] == ["time_s", track.names[0]]
    assert len(table) == 1 + len(track)
    with pytest.raises(MediaError, match=r"/listener/expression \(reactdiff_ros/msg/ExpressionFrame\)"):
        open_source(track.save(tmp_path / "faces"))  # the listener's own topics, and no camera
    with av.open(str(track.save(tmp_path / "faces.mp4"))) as video:
        assert video.streams.video[0].frames == pytest.approx(25 * SECONDS, abs=8)
        assert video.streams.audio
    before = (tmp_path / "faces.csv").read_bytes()
    with pytest.raises(MediaError, match="exists already"):
        track.save(tmp_path / "faces.csv")
    assert (tmp_path / "faces.csv").read_bytes() == before
    with pytest.raises(MediaError, match=r"\.gif"):
        track.save(tmp_path / "faces.gif")


def test_it_stops_when_progress_says_so(recording: Path) -> None:
    shares: list[float] = []

    def progress(share: float) -> bool:
        shares.append(share)
        return len(shares) < 20

    stopped = Listener(policy="idle").react(recording, progress=progress)
    assert not stopped.complete
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] <= shares[-1] <= 1.0


def stepped(listener: Listener, seconds: float, offset_s: float = 0.0) -> np.ndarray:
    faces, sound = [], [np.zeros((0, 1), np.int16)]
    rate_hz = 16_000
    clip = MediaClip(demo_clip_path())
    items = takewhile(lambda item: item.offset_ns < seconds * NS, clip.pictures_and_sound())
    for item in items:
        if isinstance(item, ClipPicture):
            time_s, heard = offset_s + item.offset_ns / NS, np.concatenate(sound)
            faces.append(listener.step(item.bgr, time_s, heard, sound_hz=rate_hz))
            sound = [heard[:0]]
        else:
            sound.append(item.samples)
            rate_hz = item.rate_hz
    return np.array(faces)


def test_steps_give_one_face_each_again_after_a_reset_or_a_long_pause() -> None:
    listener = Listener(policy="rules", seed=1)
    first = stepped(listener, 1.2)
    assert first.shape == (len(first), 58)
    listener.reset()
    assert np.array_equal(stepped(listener, 1.2), first)
    later = stepped(listener, 1.2, offset_s=1.8e9)  # a clock that began at 0, then the time of day
    assert np.abs(first - later).max() < 1e-3  # the same but for how stamps are rounded


PICTURES: Any = st.sampled_from(
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))]
)
SOUNDS: Any = st.sampled_from(
    [np.zeros(4, np.int32), np.zeros((4, 2, 2), np.int16), np.array(["a"]), np.zeros((2, 640), np.int16)]  # planar
)
TIMES: Any = st.sampled_from([float("nan"), float("inf"), -1e30])


@given(picture=PICTURES, sound=SOUNDS, time=TIMES, rate_hz=st.integers(-5, 7999))
def test_bad_arguments_are_one_sentence_and_change_nothing(picture: Any, sound: Any, time: Any, rate_hz: int) -> None:
    listener = Listener(policy="idle")
    silence = np.zeros(4, np.int16)
    for *arguments, hz in (
        (picture, 1.0, None, 16_000),
        (None, 1.0, sound, 16_000),
        (None, time, None, 16_000),
        (None, 1.0, silence, rate_hz),
    ):
        with pytest.raises(ReactdiffError) as error:
            listener.step(*arguments, sound_hz=hz)
        assert "\n" not in str(error.value)
    assert listener.step(None, 1.0).shape == (58,)


def test_the_command_writes_what_the_api_gives(recording: Path, track: FaceTrack, tmp_path: Path) -> None:
    output = tmp_path / "faces.npz"
    result = CliRunner().invoke(cli, ["react", str(recording), "-o", str(output), "--policy", "rules", "--seed", "3"])
    assert result.exit_code == 0, result.output
    with np.load(output) as arrays:
        assert np.array_equal(arrays["coefficients"], track.faces)
    for bad in ("--style", "nosuch"), ("--policy", "nosuch"):
        assert CliRunner().invoke(cli, ["react", str(recording), "-o", str(tmp_path / "b.npz"), *bad]).exit_code == 2
