"""Eye contact: from a person who is perceived to the pupils that are drawn, or to the joints of a head."""

import re
from pathlib import Path

import numpy as np
import pytest
from stage import IN_BROWSER, Sheet

from reactdiff_ros.actuation.mapping import Mapping
from reactdiff_ros.actuation.robot.profile import load_profile, shipped_profiles
from reactdiff_ros.coefficients import NAMES
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import FloatArray, SpeakerFrame

TICK_NS = 20_000_000
Place = tuple[float, float, float]


# A robot, where a person is (metres forward, left and up of the face's eyes), and where the camera is; "": as shipped.
SET_UPS: dict[str, tuple[str, Place, str]] = {
    "laptop": ("screen", (0.6, 0.0, 0.0), ""),
    "large screen": ("screen", (1.5, 0.3, 0.1), "xyz_m: [0, 0, 0.45], rpy_rad: [0, 0.15, 0]"),
    "head": ("inmoov_head", (1.2, -0.3, 0.15), "xyz_m: [0.08, 0, -0.35], rpy_rad: [0, -0.2, 0]"),
}


def robot_of(name: str, folder: Path) -> str:
    """What its user gives as robot: a shipped name, or the path of a profile with another camera."""
    robot, _, camera = SET_UPS[name]
    if not camera:
        return robot
    path, shipped = folder / "own.yaml", shipped_profiles()[robot].read_text()
    text, times = re.subn(r"(?m)^camera: .*$", f"camera: {{mount: fixed, {camera}}}", shipped)
    assert times == 1
    path.write_text(text)
    return str(path)


def seen_at(robot: str, person: Place) -> FloatArray:
    """A place in the optical frame of the robot's camera, (3,) m."""
    camera = load_profile(robot).camera
    _, pitch, yaw = camera.rpy_rad
    x, y, z = np.subtract(person, camera.xyz_m)
    x, y = x * np.cos(yaw) + y * np.sin(yaw), y * np.cos(yaw) - x * np.sin(yaw)
    x, z = x * np.cos(pitch) - z * np.sin(pitch), z * np.cos(pitch) + x * np.sin(pitch)
    return np.array([-y, -z, x], np.float32)


def faces_for(robot: str, person: Place, seed: int) -> FloatArray:
    """Faces of a listener that perceives this person for 12 s: (600, 58)."""
    settings, _ = settings_as_live(robot=robot)
    engine = ExpressionEngine(settings.expression, seed=seed)
    session = ListeningSession(None, make_listener("rules", seed=seed), engine)  # type: ignore[arg-type]
    shown, place, still, sure = [], seen_at(robot, person), np.zeros(58, np.float32), np.full(58, 0.9, np.float32)
    for tick in range(600):
        now = 1_000_000_000 + tick * TICK_NS
        if tick % 2 == 0:
            times = now - 2 * TICK_NS, now - 2 * TICK_NS, None
            session.observe(SpeakerFrame(*times, 1, True, True, still, sure, 1.0, None, place, None, None), now)
        shown += session.advance(now)
    return np.stack([frame.coefficients for frame in shown])


def drawn_gaze(sheet: Sheet, faces: FloatArray) -> FloatArray:
    """Where the drawn head and pupils look together: degrees to the face's own left and up, (n, 2)."""
    found = []
    for number in range(0, len(faces), 10):
        drawn = sheet.draw(time=number / 50, **dict(zip(NAMES, faces[number].tolist(), strict=True)))
        eyes = [drawn["eyes"][side]["gaze"] for side in ("left", "right")]
        found.append([drawn["head"][axis] + (eyes[0][axis] + eyes[1][axis]) / 2 for axis in ("x", "y")])
    return np.array(found)


def joints_gaze(robot: str, faces: FloatArray) -> FloatArray:
    """Where the eyes in the head of an InMoov look, by its joints: degrees to its own left and up, (n, 2)."""
    profile = load_profile(robot)
    moved = Mapping(profile).wanted(faces)
    by_name = {name: moved[:, i] - joint.neutral for i, (name, joint) in enumerate(profile.joints.items())}
    return np.stack([by_name["head_turn"] + by_name["eye_x"], by_name["neck"] + by_name["eye_y"]], axis=1)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=IN_BROWSER if s[0] == "screen" else ()) for n, s in SET_UPS.items()]
)
def test_the_eyes_meet_those_of_the_person(name, tmp_path, request):
    """The error is the angle between where the face looks and where it should look: median over 36 s of the shipped
    settings, looks away included. A face on a screen should look straight out, wherever the person is (the Mona Lisa
    effect), read from the drawing. A head should look at the person, by the positions of its joints.
    """
    shipped, person, _ = SET_UPS[name]
    robot = robot_of(name, tmp_path)
    faces = [faces_for(robot, person, seed)[100:] for seed in (1, 2, 3)]
    if shipped == "screen":
        sheet = request.getfixturevalue("sheet")
        gaze, wanted = np.concatenate([drawn_gaze(sheet, of) for of in faces]), np.zeros(2)
    else:
        x, y, z = person
        wanted = np.degrees([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])
        gaze = np.concatenate([joints_gaze(robot, of) for of in faces])
    error = float(np.median(np.hypot(*(gaze - wanted).T)))
    print(f"{name}: {error:.2f} degrees off, at {np.median(gaze, axis=0).round(2)} of {wanted.round(2)}")
    assert error <= 3.0
