"""A replay is the session of the live graph: the same bits in one piece, in two halves, and in two processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipItem, ClipPicture, MediaClip
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.evaluation.extraction import perceive
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.factory import make_listener
from reactdiff_ros.model.speaker.track import onto_grid
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.replay import Replayed, ReplaySettings, replay, steps
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.simulator.rendered import demo_clip_path
from reactdiff_ros.types import ExpressionFrame, Picture, Sound

SECONDS = 4.0


class Cut:
    """The first seconds of a clip, with what a test does to its events."""

    def __init__(
        self, path: Path, seconds: float = SECONDS, change: Callable[[ClipItem], list[ClipItem]] = lambda item: [item]
    ) -> None:
        self.path, self.duration_s, self.damaged_packets = path, seconds, 0
        self.has_picture = self.has_sound = True
        self._change = change

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        items = MediaClip(self.path).pictures_and_sound()
        for item in takewhile(lambda item: item.offset_ns < self.duration_s * 1e9, items):
            yield from self._change(item)


def rules(seed: int = 1) -> ReplaySettings:
    return ReplaySettings(policy="rules", seed=seed)


def in_one_piece(recording: Cut, settings: ReplaySettings) -> list[ExpressionFrame]:
    """The faces of a session as README shows it."""
    session = ListeningSession(
        SpeakerPerception(),
        make_listener(settings.policy, seed=settings.seed, config=settings.listener),
        ExpressionEngine(settings.expression, settings.seed),
    )
    faces: list[ExpressionFrame] = []
    newest = 0
    for item in recording.pictures_and_sound():
        if isinstance(item, ClipPicture):
            session.push_picture(Picture(item.offset_ns, item.bgr))
        else:
            session.push_sound(Sound(item.offset_ns, item.rate_hz, item.samples))
        faces += session.advance(item.offset_ns)
        newest = max(newest, item.offset_ns)
    return faces + session.advance(newest + 100_000_000)


def same(one: Replayed, two: Replayed) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(two, name))
        for name in ("times_ns", "coefficients", "listening", "speaker_stamps_ns")
    ) and np.array_equal(one.speaker.coefficients, two.speaker.coefficients, equal_nan=True)


@pytest.fixture(scope="module")
def demo() -> Cut:
    return Cut(demo_clip_path())


@pytest.fixture(scope="module")
def replayed(demo: Cut) -> Replayed:
    return replay(demo, rules())


def test_two_halves_show_the_faces_of_one_session(demo: Cut) -> None:
    wanted = in_one_piece(demo, rules())
    faces = [face for step in steps(demo, rules()) for face in step.faces]
    assert [f.stamp_ns for f in faces] == [f.stamp_ns for f in wanted]
    assert all(np.array_equal(a.coefficients, b.coefficients) for a, b in zip(faces, wanted, strict=True))
    assert [f.picture_stamp_ns for f in faces] == [f.picture_stamp_ns for f in wanted]
    assert any(f.mode == "listening" for f in faces)


def test_speaker_frames_are_those_of_extraction(demo: Cut, replayed: Replayed) -> None:
    track = onto_grid(perceive(demo.pictures_and_sound(), SpeakerPerception()))
    first = int(replayed.times_ns[0]) // 40_000_000
    into = slice(track.first - first, track.first - first + 50)
    assert track.first >= first
    assert np.array_equal(replayed.speaker.coefficients[:, into], track.batch.coefficients[:, :50], equal_nan=True)
    assert np.array_equal(replayed.speaker_stamps_ns[into], track.stamps_ns[:50])


def test_one_slot_for_every_40_ms_with_the_time_that_it_took(replayed: Replayed) -> None:
    assert (np.diff(replayed.times_ns) == 40_000_000).all()
    count = len(replayed.times_ns)
    assert SECONDS * 25 <= count <= SECONDS * 25 + 5
    assert replayed.coefficients.shape == (count, 58)
    assert replayed.speaker.coefficients.shape == (1, count, 58)
    assert replayed.perception_s.sum() > replayed.listener_s.sum() > 0
    assert replayed.complete
    assert replayed.tally.notes() == []


@pytest.mark.parametrize("candidates", [1, 10])
def test_the_model_replays_to_the_same_bits(demo: Cut, any_weights: Path, candidates: int) -> None:
    from reactdiff_ros.model.listener import ListenerConfig

    config = ListenerConfig(model_dir=str(any_weights), candidates=candidates, steps=2)
    short = Cut(demo.path, 2.0)
    one, two = (replay(short, ReplaySettings(seed=3, listener=config)) for _ in range(2))
    assert same(one, two)
    other = replay(short, ReplaySettings(seed=4, listener=config))
    assert not np.array_equal(one.coefficients, other.coefficients)


def test_a_second_process_changes_no_bit(clips: Callable[[str], Path]) -> None:
    path = clips("real3dportrait_may_5s.mp4")
    here, ahead = replay(path, rules()), replay(path, rules(), ahead=True)
    assert same(here, ahead)
    assert here.tally.length_s == ahead.tally.length_s > 4.0


def test_another_interpreter_gives_the_same_bits(demo: Cut, replayed: Replayed) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_replay import Cut, rules; from pathlib import Path\n"
        "from reactdiff_ros.recordings.replay import replay\n"
        "sys.stdout.buffer.write(replay(Cut(Path(sys.argv[2])), rules()).coefficients.tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent), str(demo.path)], capture_output=True, check=True
    )
    assert done.stdout == replayed.coefficients.tobytes()


def test_it_can_be_stopped_and_keeps_what_it_has(demo: Cut, replayed: Replayed) -> None:
    part = replay(demo, rules(), told=lambda seconds: seconds < 2.0)
    count = len(part.times_ns)
    assert not part.complete
    assert 48 <= count <= 52
    assert np.array_equal(part.coefficients, replayed.coefficients[:count])


def test_no_face_or_no_sound_is_no_crash(demo: Cut) -> None:
    mute = replay(Cut(demo.path, 2.0, lambda item: [item] if isinstance(item, ClipPicture) else []), rules())
    assert not mute.speaker.microphone.any()
    assert mute.speaker.mesh.any()
    blind = replay(Cut(demo.path, 2.0, lambda item: [] if isinstance(item, ClipPicture) else [item]), rules())
    assert not blind.speaker.mesh.any()
    assert np.isfinite(blind.coefficients).all()
    black = replay(Cut(demo.path, 2.0, _black), rules())
    assert not black.speaker.mesh.any()
    assert not black.listening.any()


def _black(item: ClipItem) -> list[ClipItem]:
    if not isinstance(item, ClipPicture):
        return []
    return [item._replace(bgr=np.zeros_like(item.bgr))]


def test_nothing_at_all_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such media file"):
        replay(tmp_path / "missing.mp4", rules())
    with pytest.raises(ReactdiffError, match="no such media file"):
        replay(tmp_path / "missing.mp4", rules(), ahead=True)
