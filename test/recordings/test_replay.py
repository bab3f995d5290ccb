"""A replay is the session of the live graph: the same bits in one piece, in two halves, and in two processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from bag_making import START, demo_bag
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.capture.media import ClipItem, ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_YAW, INDEX, MOUTH
from reactdiff_ros.errors import MediaError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.messages import fill, fill_header, fill_mouth
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.bags.interfaces import empty
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.replay import Replayed, ReplaySettings, replay, settings_as_live, steps
from reactdiff_ros.recordings.replay.replay import in_thread, open_recording
from reactdiff_ros.recordings.replay.senses import LONGEST_GAP_NS, STEP_BACK_NS, BagEvent, Steady, events_of
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import ExpressionFrame, Mouth, Picture, Sound, SpeechState


class Cut:
    """The first seconds of the demo speaker."""

    path, damaged_packets, has_picture, has_sound = demo_clip_path(), 0, True, True

    def __init__(self, seconds: float) -> None:
        self.duration_s = seconds

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        items = MediaClip(self.path).pictures_and_sound()
        return takewhile(lambda item: item.offset_ns < self.duration_s * NS, items)


RULES = ReplaySettings(policy="rules", seed=1)


def in_one_piece(recording: Cut, settings: ReplaySettings) -> list[ExpressionFrame]:
    """The faces of a session as README shows it."""
    listener = make_listener(settings.policy, seed=settings.seed, config=settings.listener)
    session = ListeningSession(SpeakerPerception(), listener, ExpressionEngine(settings.expression, settings.seed))
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
    times = [[(face.stamp_ns, face.mode) for face in done.faces] for done in (one, two)]
    pairs = [(shown(one), shown(two)), (one.face_seen, two.face_seen)]
    return times[0] == times[1] and all(np.array_equal(a, b) for a, b in pairs)


def shown(done: Replayed) -> np.ndarray:
    """The listener's face (T, 58) on the 25 Hz grid."""
    return np.array([face.coefficients for face in done.faces])


def test_two_halves_show_the_faces_of_one_session() -> None:
    demo = Cut(3.0)
    wanted = in_one_piece(demo, RULES)
    faces = [face for step in steps(demo, RULES) for face in step.faces]
    assert [f.stamp_ns for f in faces] == [f.stamp_ns for f in wanted]
    assert all(np.array_equal(a.coefficients, b.coefficients) for a, b in zip(faces, wanted, strict=True))
    assert [f.picture_stamp_ns for f in faces] == [f.picture_stamp_ns for f in wanted]
    assert any(f.mode == "listening" for f in faces)


@pytest.mark.parametrize("candidates", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_the_model_replays_to_the_same_bits(any_weights: Path, candidates: int) -> None:
    config, short = ListenerConfig(model_dir=str(any_weights), candidates=candidates, steps=2), Cut(1.5)
    one, two = (replay(short, ReplaySettings(seed=3, listener=config)) for _ in range(2))
    assert same(one, two)
    other = replay(short, ReplaySettings(seed=4, listener=config))
    assert not np.array_equal(shown(one), shown(other))


@pytest.mark.slow
def test_a_second_process_changes_no_bit(clips: Callable[[str], Path]) -> None:
    path = clips("real3dportrait_may_5s.mp4")
    here, ahead = replay(path, RULES), replay(path, RULES, ahead=True)
    assert same(here, ahead)
    assert here.tally.length_s == ahead.tally.length_s > 4.0


def test_nothing_at_all_is_one_sentence(tmp_path: Path) -> None:
    for ahead in (False, True):
        with pytest.raises(MediaError, match="no such media file"):
            replay(tmp_path / "missing.mp4", RULES, ahead=ahead)


# ---- Eye contact in a replay of a robot whose camera sits on its head: what the bag tells of the head is heeded.


TURNED = 0.3


def head_bag(path: Path, *, turned: float | None = TURNED, late_s: float = 0.0, **parameters: object) -> Path:
    """The demo speaker, straight ahead of a camera on a head that is turned to its left; None: nobody tells of it."""

    def tell(bag: BagWriter, stamp_ns: int) -> None:
        if turned is not None:
            pose = empty("geometry_msgs/msg/PoseStamped")
            fill_header(pose.header, stamp_ns - round(late_s * NS))
            pose.pose.orientation.z, pose.pose.orientation.w = np.sin(turned / 2), np.cos(turned / 2)
            bag.message("/actuator/head_pose", stamp_ns, pose)

    study = Study("s", parameters={f"expression_node.{k}": v for k, v in parameters.items()}) if parameters else None
    return demo_bag(path, 4.0, sound=False, also=tell, study=study)


def listened(path: Path, robot: str = "reachy_mini", *, ahead: bool = False, **given: float) -> Replayed:
    settings, _ = settings_as_live({"policy": "idle", "seed": 1, **given}, robot=robot)
    return replay(path, settings, ahead=ahead)


def looks(done: Replayed) -> float:
    """Where head and eyes look together after two seconds, to the own left, rad."""
    face = np.median(shown(done)[50:], axis=0)
    left = face[INDEX["eyeLookOutLeft"]] - face[INDEX["eyeLookInLeft"]]
    right = face[INDEX["eyeLookInRight"]] - face[INDEX["eyeLookOutRight"]]
    return float(face[HEAD_YAW] + (left + right) / 2 * ExpressionConfig().eye_yaw_full_rad)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return head_bag(tmp_path_factory.mktemp("bags") / "turned")


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_face_looks_where_the_person_was(turned: Path, share: float) -> None:
    """Also with eyes: another run's head is no head of this face that lags behind."""
    assert looks(listened(turned, head_share=share)) == pytest.approx(TURNED, abs=0.08)


def test_what_is_not_told_or_does_not_carry_the_camera_changes_nothing(turned: Path, tmp_path: Path) -> None:
    still = listened(head_bag(tmp_path / "still", turned=None))
    assert looks(still) == pytest.approx(0.0, abs=0.08)
    played = listened(head_bag(tmp_path / "played", camera_on_head=False))  # a clip was played to that robot
    np.testing.assert_array_equal(shown(played), shown(still))
    on_screen = listened(turned, "screen")
    np.testing.assert_array_equal(shown(on_screen), shown(listened(tmp_path / "still", "screen")))


@pytest.mark.parametrize(("late_s", "stamps"), [(0.01, "own"), (3600.0, "received")])
def test_poses_are_of_the_pictures_clock(tmp_path: Path, late_s: float, stamps: str) -> None:
    settings, _ = settings_as_live(robot="reachy_mini")
    events = events_of(open_recording(head_bag(tmp_path / "x", late_s=late_s)), settings)
    assert len(events) > 50
    heads = [event.value for event in events]
    assert heads[0].stamp_ns == events[0].offset_ns - (round(late_s * NS) if stamps == "own" else 0)
    assert heads[0].pose.tolist() == pytest.approx([0, TURNED, 0, 0, 0, 0], abs=1e-6)


# ---- The robot's own speech in a bag moves the mouth of a replay, at its time.


def spoken_bag(path: Path) -> Path:
    """Two seconds of pictures; from 0.5 to 1 s the robot says one open vowel, announced 0.3 s before."""
    coefficients = np.zeros((51, len(MOUTH)), np.float32)
    coefficients[:, MOUTH.index(INDEX["jawOpen"])] = 0.6
    level, none = np.full(51, 0.5, np.float32), np.zeros(51, np.float32)
    track, said_ns = Mouth("one", START + NS // 2, coefficients, none, none, level), START + NS // 5
    state = SpeechState(said_ns, "preparing", "one", "", track.start_ns, track.start_ns + NS // 2)

    def say(bag: BagWriter, stamp_ns: int) -> None:
        if stamp_ns == said_ns:
            bag.message("/speech/mouth", said_ns, fill_mouth(empty("reactdiff_ros/msg/Mouth"), track))
            bag.message("/speech/state", said_ns, fill(empty("reactdiff_ros/msg/SpeechState"), state))

    return demo_bag(path, 2.0, sound=False, also=say)


def test_the_own_speech_of_a_bag_is_shown_again(tmp_path: Path) -> None:
    path = spoken_bag(tmp_path / "spoken")
    done = listened(path, "screen")
    jaw, at_s = shown(done)[:, INDEX["jawOpen"]], np.array([face.stamp_ns - START for face in done.faces]) / NS
    assert np.median(jaw[(at_s > 0.6) & (at_s < 0.98)]) == pytest.approx(0.6, abs=0.02)
    assert jaw[at_s < 0.45].max() < 0.1
    assert jaw[at_s > 1.15].max() < 0.1
    np.testing.assert_array_equal(shown(done), shown(listened(path, "screen", ahead=True)))


# ---- Stamps that cannot be: single ones are left out, a jump of the whole time line ends a replay.


def along(stamps_s: list[float]) -> tuple[list[float], Steady]:
    steady = Steady()
    events = [BagEvent(round(s * NS)) for s in stamps_s]
    return [round(e.offset_ns / NS, 3) for e in steady.of(events)], steady


def test_single_wrong_stamps_are_left_out_and_counted() -> None:
    line = [i / 25 for i in range(100)]
    wrong = [*line[:40], 1.7e9, *line[40:60], -5000.0, 0.0, *line[60:]]
    kept, steady = along(wrong)
    assert kept == line
    assert (steady.strays, steady.jump_s) == (3, 0.0)


def test_a_jump_of_the_time_line_ends_it() -> None:
    first = [round(10 + i / 25, 3) for i in range(50)]
    for jump in (-8.0, 5000.0):
        kept, steady = along([*first, *(s + jump for s in first), *first])
        assert kept == first
        assert steady.strays == 0
        assert round(steady.jump_s) == round(jump - 49 / 25)


@given(st.lists(st.integers(-(2**62), 2**62), max_size=80))
def test_whatever_comes_the_line_is_steady(stamps: list[int]) -> None:
    steady = Steady()
    newest: int | None = None
    kept = 0
    for event in steady.of([BagEvent(s) for s in stamps]):
        kept += 1
        if newest is not None:
            assert -STEP_BACK_NS <= event.offset_ns - newest <= LONGEST_GAP_NS
        newest = event.offset_ns if newest is None else max(newest, event.offset_ns)
    assert kept + steady.strays == len(stamps) or steady.jump_s


# ---- Work in advance changes neither the order nor the errors, and ends with who asked for it.


def test_who_leaves_early_leaves_no_thread_and_closes_the_source_in_its_own() -> None:
    closed_in: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed_in.append(threading.current_thread().name)

    ahead = in_thread(endless(), 3)
    assert next(ahead) == 1
    ahead.close()  # type: ignore[attr-defined]
    assert closed_in == ["decode_0"]
    assert "decode_0" not in [thread.name for thread in threading.enumerate()]
