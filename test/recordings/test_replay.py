"""A replay is the session of the live graph: the same faces in one piece, in two processes, as a bag and as a video."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from bag_making import RATE, START, STEP, demo_bag, robot_speaks
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros import FaceTrack, Listener
from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound, MediaClip
from reactdiff_ros.cli.main import main
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_YAW, INDEX, LOWER, MOUTH, UPPER
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.messages import fill_header, fill_mouth
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.bags.interfaces import empty
from reactdiff_ros.recordings.bags.storage import BagFiles, study_of
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.replay import Replayed, ReplaySettings, replay, settings_as_live, steps
from reactdiff_ros.recordings.replay.replay import open_recording
from reactdiff_ros.recordings.replay.senses import LONGEST_GAP_NS, STEP_BACK_NS, BagEvent, Steady, events_of
from reactdiff_ros.recordings.replay.video import SPEAKER_WIDTH, write_video
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import ExpressionFrame, Mouth, Picture, Sound
from tools.demo.readback import face


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_bag(tmp_path_factory.mktemp("bags") / "talk", 2.0)


def test_two_halves_show_the_faces_of_one_session_as_readme_shows_it(bag: Path) -> None:
    session = ListeningSession(SpeakerPerception(), make_listener("rules", seed=1), ExpressionEngine(seed=1))
    wanted: list[ExpressionFrame] = []
    newest = 0
    for item in open_recording(bag).pictures_and_sound():
        if isinstance(item, ClipPicture):
            session.push_picture(Picture(item.offset_ns, item.bgr))
        else:
            session.push_sound(Sound(item.offset_ns, item.rate_hz, item.samples))
        wanted += session.advance(item.offset_ns)
        newest = max(newest, item.offset_ns)
    wanted += session.advance(newest + 100_000_000)
    faces = [face for step in steps(bag, ReplaySettings(policy="rules", seed=1)) for face in step.faces]
    of = [[(f.stamp_ns, f.picture_stamp_ns, f.mode) for f in shown] for shown in (faces, wanted)]
    assert of[0] == of[1]
    assert all(np.array_equal(a.coefficients, b.coefficients) for a, b in zip(faces, wanted, strict=True))
    assert any(f.mode == "listening" for f in faces)


# ---- The bag of a replay


def digest(bag: Path) -> str:
    return hashlib.sha256(b"".join(p.read_bytes() for p in sorted(bag.iterdir()))).hexdigest()


COMMAND = [sys.executable, "-m", "reactdiff_ros.cli.main", "bag", "replay"]


def test_a_seed_gives_the_same_bytes_in_two_processes_and_another_seed_others(bag: Path, any_weights: Path) -> None:
    how = ["--set", f"model_dir={any_weights}", "--set", "steps=2", "--plans"]
    one, two, three = (bag.with_name(name) for name in ("here", "there", "other"))
    for path, seed in ((one, "7"), (three, "8")):
        assert main(["bag", "replay", str(bag), "-o", str(path), "--seed", seed, "--processes", "1", *how]) == 0
    command = [*COMMAND, str(bag), "-o", str(two), "--seed", "7", "--processes", "2", *how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert digest(one) == digest(two) != digest(three)
    assert len(study_of(BagFiles(one).custom_data).weights) == 12


def test_topics_rates_and_stamps_are_the_graphs_and_faults_are_sentences_that_overwrite_nothing(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, new = tmp_path / "out", str(tmp_path / "x")
    assert main(["bag", "replay", str(bag), "-o", str(out), "--policy", "rules", "--plans", "--processes", "1"]) == 0
    source = BagFiles(out)
    counts = {topic.name: topic.count for topic in source.topics.values()}
    assert counts["/speaker/frame"] == 50
    assert 100 <= counts["/listener/expression"] <= 110
    assert counts["/listener/reaction"] >= 8
    times = [record.received_ns for record in source.records(set(counts))]
    assert times == sorted(times)
    assert START <= times[0] <= times[-1] <= START + 2_200_000_000
    before = digest(out), digest(bag)
    for arguments, code, word in (
        ([str(bag), "-o", str(out)], 1, "already"),
        ([str(tmp_path / "none.mcap"), "-o", new, "--processes", "1"], 1, "no such bag"),
        ([str(tmp_path / "none.mp4"), "-o", new, "--processes", "2"], 1, "no such media file"),
        ([str(bag), "-o", new, "--camera-topic", "/other"], 1, "no topic /other"),
        ([str(bag), "-o", new, "--set", "steps=900"], 2, "steps"),
        ([str(bag), "--video", str(tmp_path / "x.txt")], 1, "mp4"),
        ([str(bag)], 2, "OUT_BAG"),
        ([str(bag), "--realtime", "--policy", "rules", "-o", "x"], 2, "--output, --policy cannot"),
    ):
        assert main(["bag", "replay", *arguments]) == code
        said = capsys.readouterr().err
        assert word in said
        assert "Traceback" not in said
    assert (digest(out), digest(bag)) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_interrupted_it_keeps_a_bag_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "part"
    command = [*COMMAND, str(demo_clip_path()), "-o", str(path), "--policy", "rules", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not any(p.stat().st_size > 20_000 for p in tmp_path.rglob("*.mcap")):  # it has some content
            assert process.poll() is None
            assert time.monotonic() < end
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=150)
    assert process.returncode == 0, stderr
    report = json.loads(stdout)
    assert (report["complete"], report["stopped"]) == (False, True)
    assert "incomplete" in stderr
    parameters = study_of(BagFiles(path).custom_data).parameters
    assert parameters["replay.complete"] is False
    assert 0 < parameters["replay.done_s"] < 60
    assert [p.name for p in tmp_path.iterdir()] == ["part"], "nothing else is left"


# ---- What a bag tells of the robot itself: its voice, its head and its mouth


def test_the_robots_own_voice_is_not_the_others_and_its_mouth_is_shown_again(tmp_path: Path) -> None:
    """From 0.5 to 1 s it says one open vowel, announced 0.3 s before."""
    coefficients, none = np.zeros((51, len(MOUTH)), np.float32), np.zeros(51, np.float32)
    coefficients[:, MOUTH.index(INDEX["jawOpen"])] = 0.6
    track = Mouth("one", START + NS // 2, coefficients, none, none, np.full(51, 0.5, np.float32))

    def say(bag: BagWriter, stamp_ns: int) -> None:
        robot_speaks(bag, stamp_ns)
        if stamp_ns == START + NS // 5:
            bag.message("/speech/mouth", stamp_ns, fill_mouth(empty("reactdiff_ros/msg/Mouth"), track))

    path = demo_bag(tmp_path / "own", 1.5, also=say)
    for heed in (True, False):
        turns: set[str] = set()
        settings = ReplaySettings(policy="rules", own_voice=heed)
        done = replay(path, settings, each=lambda step: turns.update(r.turn for r in step.reactions))  # noqa: B023
        assert ("robot_speaking" in turns) == heed
        jaw, at_s = shown(done)[:, INDEX["jawOpen"]], np.array([face.stamp_ns - START for face in done.faces]) / NS
        assert np.median(jaw[(at_s > 0.6) & (at_s < 0.98)]) == pytest.approx(0.6 * heed, abs=0.02)
        assert jaw[(at_s < 0.45) | (at_s > 1.15)].max() < 0.1


TURNED = 0.3


def head_bag(path: Path, turned: float | None = TURNED, late_ns: int = 0) -> Path:
    """The demo speaker, straight ahead of a camera on a head that is turned to its left; None: nobody tells of it."""

    def tell(bag: BagWriter, stamp_ns: int) -> None:
        if turned is not None:
            pose = empty("geometry_msgs/msg/PoseStamped")
            fill_header(pose.header, stamp_ns - late_ns)
            pose.pose.orientation.z, pose.pose.orientation.w = np.sin(turned / 2), np.cos(turned / 2)
            bag.message("/actuator/head_pose", stamp_ns, pose)

    return demo_bag(path, 4.0, sound=False, also=tell)


def listened(path: Path, robot: str = "reachy_mini", **given: float) -> Replayed:
    return replay(path, settings_as_live({"policy": "idle", "seed": 1, **given}, robot=robot)[0])


def shown(done: Replayed) -> np.ndarray:
    """The listener's face (T, 58) on the 25 Hz grid."""
    return np.array([face.coefficients for face in done.faces])


def looks(done: Replayed) -> float:
    """Where head and eyes look together after two seconds, to the own left, rad."""
    face = np.median(shown(done)[50:], axis=0)
    left = face[INDEX["eyeLookOutLeft"]] - face[INDEX["eyeLookInLeft"]]
    right = face[INDEX["eyeLookInRight"]] - face[INDEX["eyeLookOutRight"]]
    return float(face[HEAD_YAW] + (left + right) / 2 * ExpressionConfig().eye_yaw_full_rad)


def test_the_face_looks_where_the_person_was_and_only_a_pose_that_carries_the_camera_counts(tmp_path: Path) -> None:
    turned, still = head_bag(tmp_path / "turned"), head_bag(tmp_path / "still", turned=None)
    for share in (1.0, 0.3):  # also with eyes: another run's head is no head of this face that lags behind
        assert looks(listened(turned, head_share=share)) == pytest.approx(TURNED, abs=0.08)
    assert looks(listened(still)) == pytest.approx(0.0, abs=0.08)
    np.testing.assert_array_equal(shown(listened(turned, "screen")), shown(listened(still, "screen")))
    for late_ns, own in ((NS // 100, True), (3600 * NS, False)):  # a stamp of another clock is not used
        late = open_recording(head_bag(tmp_path / str(late_ns), late_ns=late_ns))
        first = events_of(late, settings_as_live(robot="reachy_mini")[0])[0]
        assert first.value.stamp_ns == first.offset_ns - own * late_ns


# ---- Stamps that cannot be: single ones are left out, a jump of the whole time line ends a replay.


def along(stamps_ns: list[int]) -> tuple[list[int], int, float]:
    """What fits of the line, how many strays there are, and how far it jumps, s."""
    steady = Steady()
    return [e.offset_ns for e in steady.of(map(BagEvent, stamps_ns))], steady.strays, steady.jump_s


def test_single_wrong_stamps_are_left_out_and_counted_and_a_jump_of_the_time_line_ends_it() -> None:
    line = [START + i * STEP for i in range(100)]
    assert along([*line[:40], 2 * START, *line[40:60], -5000 * NS, 0, *line[60:]]) == (line, 3, 0.0)
    for jump_s in (-8, 5000):
        assert along([*line, *(s + jump_s * NS for s in line), *line]) == (line, 0, pytest.approx(jump_s - 99 / 25))


@given(st.lists(st.integers(-(2**62), 2**62), max_size=80))
def test_whatever_comes_the_line_is_steady(stamps: list[int]) -> None:
    kept, strays, jump_s = along(stamps)
    for i in range(1, len(kept)):
        assert -STEP_BACK_NS <= kept[i] - max(kept[:i]) <= LONGEST_GAP_NS
    assert len(kept) + strays == len(stamps) or jump_s


# ---- The video of a replay


class Flashes:
    """Grey pictures at 25 Hz and silence; at 0.4 s one white picture and one beep, the sound beginning 0.2 s late."""

    path, duration_s, damaged_packets = Path("flashes"), 1.0, 0
    has_picture = has_sound = True

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        for i in range(50):
            at_ns = START + i * STEP // 2
            if i % 2 == 0:
                yield ClipPicture(at_ns, np.full((60, 60, 3), 255 if i == 20 else 90, np.uint8))
            if i >= 10:
                tone = np.sin(np.arange(RATE // 50) * 0.4) * 20000 * (i == 20)
                yield ClipSound(at_ns, RATE, tone.astype(np.int16)[:, None])


FACES = [
    ExpressionFrame(START + i * STEP, face(jawOpen=0.9 * (i == 10)), "listening", (), None, None, None, None)
    for i in range(25)
]


def test_picture_sound_and_listener_are_in_step_and_a_video_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    assert write_video(path, Flashes(), FACES, processes=0) == 1.0
    clip = MediaClip(path)
    pictures, sounds = [picture.bgr for picture in clip.pictures()], list(clip.sound())
    assert len(pictures) == 25
    assert int(np.argmax([bgr[200:280, 280:360].mean() for bgr in pictures])) == 10
    mouth = np.array([bgr[280:400, SPEAKER_WIDTH + 180 : SPEAKER_WIDTH + 300].mean() for bgr in pictures])
    assert int(np.argmax(np.abs(mouth - np.median(mouth)))) == 10
    samples = np.concatenate([s.samples[:, 0] for s in sounds]).astype(float)
    assert 0.38 <= sounds[0].offset_ns / 1e9 + np.abs(samples).argmax() / sounds[0].rate_hz <= 0.44
    assert path.stat().st_mode & 0o077 == 0  # it shows a person
    for name, faces, sentence in (("film.mp4", FACES, "already"), ("other.mp4", [], "nothing to show")):
        with pytest.raises(MediaError, match=sentence):
            write_video(tmp_path / name, Flashes(), faces, processes=0)
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


# ---- `from reactdiff_ros import Listener`: the API that README shows


@pytest.fixture(scope="module")
def track(bag: Path) -> FaceTrack:
    return Listener(policy="rules", seed=3).react(bag)


def test_seed_and_settings_decide_every_bit_and_progress_may_stop_it(
    bag: Path, track: FaceTrack, tmp_path: Path
) -> None:
    command = ["react", str(bag), "-o", str(tmp_path / "faces.npz"), "--policy", "rules", "--seed", "3"]
    assert main(command) == 0
    with np.load(tmp_path / "faces.npz") as arrays:
        assert np.array_equal(arrays["coefficients"], track.faces)
    other = Listener(policy="rules", seed=4).react(bag)
    still = Listener(policy="rules", seed=3, stillness=1.0, intensity=0.0).react(bag)
    assert not np.array_equal(other.faces, track.faces)
    assert still["mouthSmileLeft"].max() < track.faces.max()
    shares: list[float] = []
    stopped = Listener(policy="idle").react(bag, progress=lambda share: shares.append(share) or len(shares) < 20)
    assert not stopped.complete
    assert 0.0 <= shares[0] <= shares[-1] <= 1.0


def test_a_track_has_fifty_faces_a_second_and_is_saved_as_what_the_name_says(track: FaceTrack, tmp_path: Path) -> None:
    assert (track.complete, track.notes) == (True, [])
    assert abs(len(track) - 100) <= 10  # it runs on until the last event has acted
    assert np.allclose(np.diff(track.times), 0.02, atol=1e-6)
    assert ((track.faces >= LOWER) & (track.faces <= UPPER)).all()
    assert np.array_equal(track["eyeBlinkLeft"], track.faces[:, INDEX["eyeBlinkLeft"]])
    with np.load(track.save(tmp_path / "a" / "faces.npz")) as arrays:
        assert np.array_equal(arrays["coefficients"], track.faces)
        assert np.array_equal(arrays["times"], track.times)
        assert tuple(arrays["names"]) == track.names
    table = track.save(tmp_path / "faces.csv").read_text()
    assert table.startswith(f"time_s,{track.names[0]},")
    assert len(table.splitlines()) == 1 + len(track)
    topics = BagFiles(track.save(tmp_path / "faces")).topics
    assert {"/speaker/frame", "/listener/reaction", "/listener/expression"} <= set(topics)
    with av.open(str(track.save(tmp_path / "faces.mp4"))) as video:
        assert video.streams.video[0].frames == pytest.approx(50, abs=8)
        assert video.streams.audio
    for name, sentence in (("faces.csv", "exists already"), ("faces.gif", r"\.gif")):
        with pytest.raises(MediaError, match=sentence):
            track.save(tmp_path / name)
    assert (tmp_path / "faces.csv").read_text() == table


def stepped(listener: Listener, offset_s: float = 0.0) -> np.ndarray:
    """Faces of 1.2 s of the demo speaker."""
    faces, heard, rate_hz = [], np.zeros((0, 1), np.int16), 16_000
    items = MediaClip(demo_clip_path()).pictures_and_sound()
    for item in takewhile(lambda item: item.offset_ns < 1.2 * NS, items):
        if isinstance(item, ClipPicture):
            faces.append(listener.step(item.bgr, offset_s + item.offset_ns / NS, heard, sound_hz=rate_hz))
            heard = heard[:0]
        else:
            heard, rate_hz = np.concatenate([heard, item.samples]), item.rate_hz
    return np.array(faces)


def test_steps_give_one_face_each_again_after_a_reset_or_a_long_pause() -> None:
    listener = Listener(policy="rules", seed=1)
    first = stepped(listener)
    assert first.shape == (len(first), 58)
    listener.reset()
    assert np.array_equal(stepped(listener), first)
    later = stepped(listener, offset_s=1.8e9)  # a clock that began at 0, then the time of day
    assert np.abs(first - later).max() < 1e-3  # the same but for how stamps are rounded


PICTURES = [*(np.zeros(size, np.uint8) for size in ((4, 4), (4, 4, 4), (0, 4, 3))), np.zeros((4, 4, 3))]
SOUNDS = [*(np.zeros(size, np.int16) for size in ((4, 2, 2), (2, 640))), np.zeros(4, np.int32), np.array(["a"])]
TIMES = [float("nan"), float("inf"), -1e30]


@given(st.sampled_from(PICTURES), st.sampled_from(SOUNDS), st.sampled_from(TIMES), st.integers(-5, 7999))
def test_bad_arguments_are_one_sentence_and_change_nothing(picture: Any, sound: Any, time: float, rate_hz: int) -> None:
    listener, silence = Listener(policy="idle"), np.zeros(4, np.int16)
    fine = 16_000
    for *bad, hz in ((picture, 1.0, fine), (None, 1.0, sound, fine), (None, time, fine), (None, 1.0, silence, rate_hz)):
        with pytest.raises(ReactdiffError) as error:
            listener.step(*bad, sound_hz=hz)
        assert "\n" not in str(error.value)
    assert listener.step(None, 1.0).shape == (58,)
