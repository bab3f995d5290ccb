"""reactdiff bag, extract and study: recordings made, read, extracted and blinded."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.cli.main import main
from reactdiff_ros.clock import NS
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.launching.condition import CONDITION_VARIABLE, unveil
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.bags.read import BagSource
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import CAMERA, START_NS, BagWriter
from reactdiff_ros.recordings.blinding import SessionsFile
from reactdiff_ros.recordings.datasets.recordings import load, recordings
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import Picture, Sound, SpeakerFrame

pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/evaluate.txt)")


Clips = Callable[[str], Path]
Out = pytest.CaptureFixture[str]
SAD = "emotions/dreamtalk_m030_sad.mp4"


def answer(capfd: Out, *arguments: str) -> dict:
    capfd.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


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
    named = answer(capfd, "bag", "info", str(tmp_path / "bag"), "--camera-topic", "/left/image_raw", "--check")
    assert named["replay"]["picture"] == "/left/image_raw"
    assert named["notes"] == ["the sound begins 4.0 s after the picture"]
    capfd.readouterr()
    assert main(["bag", "info", str(tmp_path / "bag"), "--camera-topic", "left/image_raw"]) == 0
    text = capfd.readouterr().out
    assert "study p07, consent given, seed 4" in text
    assert "note: the sound begins 4.0 s after the picture" in text


MAY, ANGRY = "real3dportrait_may_5s.mp4", "emotions/dreamtalk_m030_angry.mp4"


def live_frames(path: Path) -> list[SpeakerFrame]:
    """What the listener is given when the clip is played live in steps of the face's 20 ms."""
    listener = make_listener("idle", seed=3)
    session = ListeningSession(SpeakerPerception(), listener, ExpressionEngine(seed=3))
    waiting = list(MediaClip(path).pictures_and_sound())
    given: list[SpeakerFrame] = []
    now_ns = 0
    while waiting or now_ns < 6 * NS:
        while waiting and waiting[0].offset_ns <= now_ns:
            item = waiting.pop(0)
            if isinstance(item, ClipPicture):
                session.push_picture(Picture(item.offset_ns, item.bgr))
            else:
                session.push_sound(Sound(item.offset_ns, item.rate_hz, item.samples))
        session.advance(now_ns)
        given.extend(session.speaker_frames)
        now_ns += NS // 50
    return given


class Extracted:
    """Two files and a pair in both directions, extracted in one call, beside a file that is none and a missing one."""

    def __init__(self, clips: Clips, folder: Path) -> None:
        self.folder, self.broken = folder, folder / "broken.mp4"
        self.silent, self.may, self.other = clips(ANGRY), clips(MAY), clips("spectre_mead_m030_angry_3s.mp4")
        self.broken.write_bytes(b"no film at all" * 99)

    def run(self, *arguments: object) -> int:
        return main(["extract", *map(str, arguments), "--output", str(self.folder / "out"), "--json"])

    def file(self, *names: Path) -> Path:
        return self.folder / "out" / ("--".join(name.stem for name in names) + ".npz")


@pytest.fixture(scope="module")
def extracted(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Extracted:
    one = Extracted(clips, tmp_path_factory.mktemp("extracted"))
    pair = ("--pair", one.may, one.other, "--both-roles", "--people", "may-m030")
    assert one.run(one.broken, one.folder / "none.mp4", one.silent, one.may, *pair) == 1
    return one


def test_a_file_holds_what_the_live_path_gives_frame_by_frame(extracted: Extracted) -> None:
    path = extracted.file(extracted.may)
    assert {p.stat().st_mode & 0o777 for p in path.parent.glob("*.npz")} == {0o600}
    written, frames = load(path), live_frames(extracted.may)
    assert written.frames == len(frames) == 125
    assert written.speaker.mesh.mean() > 0.95
    assert written.speaker.microphone.mean() > 0.95
    np.testing.assert_array_equal(written.stamps_ns, [f.stamp_ns for f in frames])
    np.testing.assert_array_equal(written.speaker.coefficients[0], [f.coefficients for f in frames])
    np.testing.assert_array_equal(written.speaker.confidence[0], [f.confidence for f in frames])
    on, known = written.speaker.microphone[0], [f.voice for f in frames if f.voice is not None]
    assert [f.voice is not None for f in frames] == on.tolist()
    np.testing.assert_array_equal(written.speaker.mfcc[0][on], [v.mfcc for v in known])
    np.testing.assert_array_equal(written.speaker.pause_s[0][on], np.float32([v.pause_s for v in known]))


def test_two_views_become_a_training_recording_in_both_directions(extracted: Extracted, tmp_path: Path) -> None:
    may, other = extracted.may, extracted.other
    for names in ((may, other), (other, may)):
        (tmp_path / extracted.file(*names).name).hardlink_to(extracted.file(*names))
    there, back = sorted(recordings(tmp_path), key=lambda r: r.role, reverse=True)
    assert (there.role, back.role) == (other.stem, may.stem)
    assert there.pair == back.pair == "may-m030"
    assert there.session == back.session
    assert there.frames == back.frames == 82
    np.testing.assert_array_equal(there.listener, np.where(there.observed, back.speaker.coefficients[0], 0))
    seen = back.speaker.confidence[0] >= 0.3
    assert (there.observed <= seen).all()
    assert there.observed.mean() > 0.5
    assert not there.observed[:, 5].any()  # cheekPuff: landmarks cannot show it


def test_a_bad_file_is_one_sentence_and_what_is_there_is_kept(extracted: Extracted, capfd: Out) -> None:
    kept = extracted.file(extracted.silent)
    before = kept.stat().st_mtime_ns
    assert extracted.run(extracted.broken, extracted.folder / "none.mp4", extracted.silent) == 1
    captured = capfd.readouterr()
    answer = json.loads(captured.out)
    assert (len(answer["failed"]), answer["written"], answer["kept"]) == (2, [], [str(kept)])
    assert sum("broken.mp4" in line for line in captured.err.splitlines()) == 1
    assert "there is no such media file" in captured.err
    assert "exists and is kept" in captured.err
    assert kept.stat().st_mtime_ns == before
    assert extracted.run(extracted.silent, "--force") == 0
    captured = capfd.readouterr()
    assert [row["file"] for row in json.loads(captured.out)["written"]] == [str(kept)]
    assert "has no sound" in captured.err
    assert kept.stat().st_mtime_ns > before


PLAN = """
name: warm
design: within
participants: 4
conditions:
  diffusion: {policy: model, style: warm}
  scripted: {policy: rules, smiling: 0.5, intensity: 1.2}
"""


@pytest.fixture
def sealed(tmp_path: Path, capsys: Out) -> Path:
    (tmp_path / "study.yaml").write_text(PLAN)
    assert main(["study", "seal", str(tmp_path / "study.yaml"), "-o", str(tmp_path)]) == 0
    capsys.readouterr()
    return tmp_path


def record(folder: Path, session: str, seal: str) -> Path:
    with BagWriter(folder, study=Study(session, study="warm", seal=seal)):
        pass
    return folder


def test_sealing_writes_two_files_and_never_twice(sealed: Path, capsys: Out) -> None:
    key = sealed / "warm.key.json"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_text()
    assert main(["study", "seal", str(sealed / "study.yaml"), "-o", str(sealed)]) == 1
    assert "already sealed" in capsys.readouterr().err
    assert key.read_text() == before


def test_bags_are_opened_and_what_does_not_fit_is_named(sealed: Path, capsys: Out) -> None:
    seals = {row["session"]: row["seal"] for row in SessionsFile(sealed / "warm.sessions.json").rows}
    record(sealed / "bags" / "p01-1", "p01-1", seals["p01-1"])
    record(sealed / "bags" / "p01-2", "p01-2", seals["p01-2"])
    key, bags = str(sealed / "warm.key.json"), str(sealed / "bags")
    assert main(["study", "open", bags, "--key", key, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {row["condition"] for row in report["recordings"]} == {"diffusion", "scripted"}
    assert report["not_recorded"] == sorted(seals.keys() - {"p01-1", "p01-2"})
    record(sealed / "bags" / "odd", "p02-1", seals["p01-1"])
    assert main(["study", "open", bags, "--key", key]) == 1
    captured = capsys.readouterr()
    assert "does not fit" in captured.err
    assert len(captured.out.splitlines()) == 2


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the nodes of `reactdiff listen` would be given, without starting them."""
    given: list[str] = []
    # Set first, so that the test's end removes what the command sets.
    monkeypatch.setenv(CONDITION_VARIABLE, "")
    monkeypatch.setattr(
        "reactdiff_ros.cli.listen.run", lambda *_, **__: given.append(os.environ[CONDITION_VARIABLE]) or 0
    )
    return given


def test_listen_hands_the_veil_to_the_nodes(sealed: Path, listened: list[str], capsys: Out) -> None:
    path = sealed / "warm.sessions.json"
    assert main(["listen", "--study", str(path), "session:=p02-2", "record:=true"]) == 0
    assert unveil(listened[0]).session == "p02-2"
    captured = capsys.readouterr()
    assert "condition is hidden" in captured.err
    assert "not recorded" not in captured.err
    for word in ("diffusion", "scripted", "rules"):
        assert word not in captured.out + captured.err
    assert main(["study", "veil", str(path), "p02-2"]) == 0
    assert capsys.readouterr().out.strip() == listened[0]
