"""Eye contact in a replay of a robot whose camera sits on its head: what the bag tells of the head is heeded."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_YAW, INDEX
from reactdiff_ros.expression import ExpressionConfig
from reactdiff_ros.messages import fill_header
from reactdiff_ros.recordings.bags.interfaces import empty
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.replay import Replayed, replay, settings_as_live
from reactdiff_ros.recordings.replay.replay import open_recording
from reactdiff_ros.recordings.replay.senses import as_recorded, events_of
from reactdiff_ros.recordings.studies.study import Study
from reactdiff_ros.simulator.rendered import demo_clip_path

BEGIN_NS, SECONDS, TURNED = 1_700_000_000 * NS, 4.0, 0.3


def bag(path: Path, *, turned: float | None = TURNED, late_s: float = 0.0, **parameters: object) -> Path:
    """The demo speaker, straight ahead of a camera on a head that is turned to its left; None: nobody tells of it."""
    study = Study("s", parameters={f"expression_node.{k}": v for k, v in parameters.items()}) if parameters else None
    with BagWriter(path, study=study) as writer:
        items = MediaClip(demo_clip_path()).pictures_and_sound()
        for item in takewhile(lambda item: item.offset_ns < SECONDS * NS, items):
            stamp_ns = BEGIN_NS + item.offset_ns
            if not isinstance(item, ClipPicture):
                continue
            writer.picture(stamp_ns, item.bgr)
            if turned is not None:
                pose = empty("geometry_msgs/msg/PoseStamped")
                fill_header(pose.header, stamp_ns - round(late_s * NS))
                pose.pose.orientation.z, pose.pose.orientation.w = np.sin(turned / 2), np.cos(turned / 2)
                writer.message("/actuator/head_pose", stamp_ns, pose)
    return path


def listened(path: Path, robot: str = "reachy_mini", *, ahead: bool = False, **given: float) -> Replayed:
    settings, _ = settings_as_live({"policy": "idle", "seed": 1, **given}, robot=robot)
    return replay(path, settings, ahead=ahead)


def looks(done: Replayed) -> float:
    """Where head and eyes look together after two seconds, to the own left, rad."""
    face = np.median(done.coefficients[50:], axis=0)
    left = face[INDEX["eyeLookOutLeft"]] - face[INDEX["eyeLookInLeft"]]
    right = face[INDEX["eyeLookInRight"]] - face[INDEX["eyeLookOutRight"]]
    return float(face[HEAD_YAW] + (left + right) / 2 * ExpressionConfig().eye_yaw_full_rad)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bag(tmp_path_factory.mktemp("bags") / "turned")


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_face_looks_where_the_person_was(turned: Path, share: float) -> None:
    """Also with eyes: another run's head is no head of this face that lags behind."""
    assert looks(listened(turned, head_share=share)) == pytest.approx(TURNED, abs=0.08)


def test_what_is_not_told_or_does_not_carry_the_camera_changes_nothing(turned: Path, tmp_path: Path) -> None:
    still = listened(bag(tmp_path / "still", turned=None))
    assert looks(still) == pytest.approx(0.0, abs=0.08)
    played = listened(bag(tmp_path / "played", camera_on_head=False))  # a clip was played to that robot
    np.testing.assert_array_equal(played.coefficients, still.coefficients)
    on_screen = listened(turned, "screen")
    np.testing.assert_array_equal(
        on_screen.coefficients, listened(bag(tmp_path / "none", turned=None), "screen").coefficients
    )


def test_a_second_process_changes_no_bit(turned: Path) -> None:
    here, ahead = listened(turned), listened(turned, ahead=True)
    np.testing.assert_array_equal(here.coefficients, ahead.coefficients)


def test_settings_say_what_was_done(turned: Path, tmp_path: Path) -> None:
    settings, _ = settings_as_live({"policy": "idle"}, robot="reachy_mini")
    assert as_recorded(settings, open_recording(turned)) is settings
    assert settings.expression.camera_on_head
    clip = as_recorded(settings, MediaClip(demo_clip_path()))
    assert not clip.expression.camera_on_head
    noted = bag(tmp_path / "noted", camera_on_head=True)
    assert as_recorded(settings, open_recording(noted)).expression.camera_on_head


@pytest.mark.parametrize(("late_s", "stamps"), [(0.01, "own"), (3600.0, "received")])
def test_poses_are_of_the_pictures_clock(tmp_path: Path, late_s: float, stamps: str) -> None:
    settings, _ = settings_as_live(robot="reachy_mini")
    told = events_of(open_recording(bag(tmp_path / "x", late_s=late_s)), settings)
    assert len(told) > 50
    heads = [event.head for event in told]
    assert heads[0] is not None
    assert heads[0].stamp_ns == told[0].offset_ns - (round(late_s * NS) if stamps == "own" else 0)
    assert heads[0].pose.tolist() == pytest.approx([0, TURNED, 0, 0, 0, 0], abs=1e-6)
