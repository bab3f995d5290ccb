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
from reactdiff_ros.recordings.bags.storage import BagFiles
from reactdiff_ros.resources import demo_clip_path

SECONDS = 2.0


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_bag(tmp_path_factory.mktemp("api") / "talk", SECONDS)


@pytest.fixture(scope="module")
def track(recording: Path) -> FaceTrack:
    return Listener(policy="rules", seed=3).react(recording)


def test_a_track_has_fifty_faces_a_second_within_bounds(track: FaceTrack) -> None:
    assert (track.complete, track.notes) == (True, [])
    assert len(track) == len(track.times) == len(track.faces)
    assert abs(len(track) - 50 * SECONDS) <= 10  # it runs on until the last event has acted
    assert np.allclose(np.diff(track.times), 0.02, atol=1e-6)
    assert ((track.faces >= LOWER) & (track.faces <= UPPER)).all()
    assert track.faces.std(axis=0).max() > 0.01
    assert np.array_equal(track["eyeBlinkLeft"], track.faces[:, INDEX["eyeBlinkLeft"]])
    with pytest.raises(KeyError):
        track["smile"]


def test_seed_and_settings_decide_every_bit_also_of_the_command_and_progress_may_stop_it(
    recording: Path, track: FaceTrack, tmp_path: Path
) -> None:
    command = ["react", str(recording), "-o", str(tmp_path / "faces.npz"), "--policy", "rules", "--seed", "3"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "faces.npz") as arrays:
        assert np.array_equal(arrays["coefficients"], track.faces)
    other = Listener(policy="rules", seed=4).react(recording)
    still = Listener(policy="rules", seed=3, stillness=1.0, intensity=0.0).react(recording)
    assert not np.array_equal(other.faces, track.faces)
    assert still["mouthSmileLeft"].max() < track.faces.max()
    assert CliRunner().invoke(cli, [*command[:3], str(tmp_path / "b.npz"), "--style", "nosuch"]).exit_code == 2
    shares: list[float] = []
    stopped = Listener(policy="idle").react(recording, progress=lambda share: shares.append(share) or len(shares) < 20)
    assert not stopped.complete
    assert 0.0 <= shares[0] <= shares[-1] <= 1.0


def test_it_is_saved_as_what_the_name_says_and_never_over_something(track: FaceTrack, tmp_path: Path) -> None:
    with np.load(track.save(tmp_path / "a" / "faces.npz")) as arrays:
        assert np.array_equal(arrays["coefficients"], track.faces)
        assert np.array_equal(arrays["times"], track.times)
        assert tuple(arrays["names"]) == track.names
    table = track.save(tmp_path / "faces.csv").read_text()
    assert table.startswith(f"time_s,{track.names[0]},")
    assert len(table.splitlines()) == 1 + len(track)
    assert {"/speaker/frame", "/listener/reaction", "/listener/expression"} <= {
        *BagFiles(track.save(tmp_path / "faces")).topics
    }
    with av.open(str(track.save(tmp_path / "faces.mp4"))) as video:
        assert video.streams.video[0].frames == pytest.approx(25 * SECONDS, abs=8)
        assert video.streams.audio
    for name, sentence in (("faces.csv", "exists already"), ("faces.gif", r"\.gif")):
        with pytest.raises(MediaError, match=sentence):
            track.save(tmp_path / name)
    assert (tmp_path / "faces.csv").read_text() == table


def stepped(listener: Listener, offset_s: float = 0.0) -> np.ndarray:
    """Faces of 1.2 s of the demo speaker."""
    faces, sound = [], [np.zeros((0, 1), np.int16)]
    rate_hz = 16_000
    clip = MediaClip(demo_clip_path())
    for item in takewhile(lambda item: item.offset_ns < 1.2 * NS, clip.pictures_and_sound()):
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
    first = stepped(listener)
    assert first.shape == (len(first), 58)
    listener.reset()
    assert np.array_equal(stepped(listener), first)
    later = stepped(listener, offset_s=1.8e9)  # a clock that began at 0, then the time of day
    assert np.abs(first - later).max() < 1e-3  # the same but for how stamps are rounded


PICTURES = [
    np.zeros((4, 4), np.uint8),
    np.zeros((4, 4, 4), np.uint8),
    np.zeros((0, 4, 3), np.uint8),
    np.zeros((4, 4, 3)),
]
PLANAR = np.zeros((2, 640), np.int16)
SOUNDS = [np.zeros(4, np.int32), np.zeros((4, 2, 2), np.int16), np.array(["a"]), PLANAR]
ANY_RATE = st.integers(-5, 7999)


@given(
    st.sampled_from(PICTURES), st.sampled_from(SOUNDS), st.sampled_from([float("nan"), float("inf"), -1e30]), ANY_RATE
)
def test_bad_arguments_are_one_sentence_and_change_nothing(picture: Any, sound: Any, time: float, rate_hz: int) -> None:
    listener, silence = Listener(policy="idle"), np.zeros(4, np.int16)
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
