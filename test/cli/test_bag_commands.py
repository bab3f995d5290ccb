"""`reactdiff bag info` and `from-video`: a clip becomes the bag that the graph would have recorded of it."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/evaluate.txt)")

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.cli.main import main
from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.bags.read import BagSource
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import AUDIO, CAMERA, EXPRESSION, REACTION, SPEAKER, START_NS, BagWriter
from reactdiff_ros.resources import share_path
from reactdiff_ros.types import Sound

Clips = Callable[[str], Path]
Out = pytest.CaptureFixture[str]
SAD = "emotions/dreamtalk_m030_sad.mp4"


def answer(capfd: Out, *arguments: str) -> dict:
    capfd.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def write_wave(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.arange(16000, dtype="<i2").tobytes())
    return path


def test_topics_are_those_of_the_graph() -> None:
    table = json.loads(share_path("config/nodes.json").read_text())
    topics = {"/" + p["name"]: p["type"] for node in table["nodes"] for p in node["publishers"]}
    assert {CAMERA, AUDIO, SPEAKER, REACTION, EXPRESSION} <= set(topics)


def test_a_clip_becomes_a_bag_in_its_own_time(clips: Clips, tmp_path: Path, capfd: Out) -> None:
    path = clips(SAD)
    for name in ("a", "b"):
        made = answer(capfd, "bag", "from-video", str(path), "-o", str(tmp_path / name))
    assert (tmp_path / "a" / "recording.mcap").read_bytes() == (tmp_path / "b" / "recording.mcap").read_bytes()
    assert made["sounds"] == 0
    assert "no sound" in made["notes"][0]
    film = [item.offset_ns for item in MediaClip(path).pictures()]
    source = BagSource(tmp_path / "a")
    assert [item.offset_ns - START_NS for item in source.pictures_and_sound()] == film
    assert not source.has_sound
    about = answer(capfd, "bag", "info", str(tmp_path / "a"))
    assert [(t["name"], t["messages"]) for t in about["topics"]] == [(CAMERA, len(film))]
    assert about["topics"][0]["rate_hz"] == pytest.approx(25, abs=0.1)
    assert about["replay"] == {
        "picture": CAMERA, "sound": None, "start_ns": START_NS, "duration_s": pytest.approx(film[-1] / NS)
    }  # fmt: skip
    assert about["notes"] == []


def test_raw_pictures_are_the_clips_own(clips: Clips, tmp_path: Path, capfd: Out) -> None:
    path = clips(SAD)
    answer(capfd, "bag", "from-video", str(path), "-o", str(tmp_path / "bag"), "--raw", "--storage", "sqlite3")
    first = next(iter(BagSource(tmp_path / "bag").pictures_and_sound()))
    np.testing.assert_array_equal(first.bgr, next(iter(MediaClip(path).pictures())).bgr)


def test_a_sound_becomes_a_bag_without_pictures(tmp_path: Path, capfd: Out) -> None:
    path = write_wave(tmp_path / "tone.wav")
    made = answer(capfd, "bag", "from-video", str(path), "-o", str(tmp_path / "bag"))
    assert (made["pictures"], made["sounds"], made["duration_s"]) == (0, 50, 1.0)
    assert "no pictures" in made["notes"][0]
    items = list(BagSource(tmp_path / "bag").pictures_and_sound())
    np.testing.assert_array_equal(np.concatenate([i.samples for i in items])[:, 0], np.arange(16000))


def test_clips_follow_each_other(tmp_path: Path, capfd: Out) -> None:
    paths = [write_wave(tmp_path / f"{name}.wav") for name in "ab"]
    made = answer(capfd, "bag", "from-video", *map(str, paths), "-o", str(tmp_path / "bag"))
    assert [clip["start_s"] for clip in made["clips"]] == [1.0, 3.0]
    assert (made["sounds"], made["duration_s"]) == (100, 3.0)
    stamps = [i.offset_ns for i in BagSource(tmp_path / "bag").pictures_and_sound()]
    assert (stamps[0], stamps[50]) == (NS, 3 * NS)
    assert stamps == sorted(stamps)


def test_nothing_is_written_over(tmp_path: Path, capfd: Out) -> None:
    path = write_wave(tmp_path / "tone.wav")
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "mine").touch()
    assert main(["bag", "from-video", str(path), "-o", str(tmp_path / "bag")]) == 1
    assert "something of this name already exists" in capfd.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag", "tone.wav"]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    assert main(["bag", "from-video", str(broken), "-o", str(tmp_path / "other")]) == 1
    assert not (tmp_path / "other").exists()


def test_info_tells_of_two_cameras_and_of_the_study(tmp_path: Path, capfd: Out) -> None:
    with BagWriter(tmp_path / "bag", study=Study("p07", True, {"style": "warm"}, "ab", 4)) as bag:
        for topic in ("/left/image_raw", "/right/image_raw"):
            bag.raw_picture(NS, np.zeros((4, 4, 3), np.uint8), topic=topic)
        bag.sound(Sound(5 * NS, 16000, np.zeros((320, 1), np.int16)))
    about = answer(capfd, "bag", "info", str(tmp_path / "bag"))
    assert about["replay"] is None
    assert "several cameras: /left/image_raw, /right/image_raw" in about["notes"][0]
    assert about["study"]["session_id"] == "p07"
    assert about["study"]["parameters"] == {"style": "warm"}
    named = answer(capfd, "bag", "info", str(tmp_path / "bag"), "--picture", "/left/image_raw", "--check")
    assert named["replay"]["picture"] == "/left/image_raw"
    assert named["notes"] == ["the sound begins 4.0 s after the picture"]
    capfd.readouterr()
    assert main(["bag", "info", str(tmp_path / "bag"), "--picture", "left/image_raw"]) == 0
    text = capfd.readouterr().out
    assert "study p07, consent given, seed 4" in text
    assert "note: the sound begins 4.0 s after the picture" in text


def test_info_of_no_bag_is_one_sentence(tmp_path: Path, capfd: Out) -> None:
    (tmp_path / "cut.mcap").write_bytes(b"\x89MCAP0\r\n")
    assert main(["bag", "info", str(tmp_path / "cut.mcap"), "--json"]) == 1
    told = capfd.readouterr()
    assert told.out == ""
    assert "reactdiff: the bag cannot be read" in told.err


def test_a_parameter_file_that_is_none_is_named(tmp_path: Path, capfd: Out) -> None:
    sound, file = write_wave(tmp_path / "talk.wav"), tmp_path / "mine.yaml"
    for text in ("junk\n", "a: [\n", "reaction_node: {ros__parameters: {seed: x}}\n"):
        file.write_text(text)
        assert main(["bag", "replay", str(sound), "-o", str(tmp_path / "out"), "--params", str(file)]) == 2
        assert str(file) in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_plan_of_ones_own_listener_that_is_none_is_one_sentence(tmp_path: Path, capfd: Out) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from reactdiff_ros.model.policies import make_listener\n"
        "class Own:\n"
        "    def __init__(self, seed): self.inner = make_listener('random', seed=seed)\n"
        "    def __getattr__(self, name): return getattr(self.inner, name)\n"
        "    def plan(self, now_ns):\n"
        "        plan = self.inner.plan(now_ns)\n"
        "        return plan and replace(plan, coefficients=plan.coefficients * float('nan'))\n"
    )
    arguments = ["bag", "replay", str(write_wave(tmp_path / "talk.wav")), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--listener", f"{file}:Own", "--processes", "1"]) == 1
    assert f"a plan holds values that are not numbers ({file}:Own)" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
