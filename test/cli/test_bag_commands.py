"""reactdiff bag, extract and study: recordings made, read, extracted and blinded."""

import os
import stat
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
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import CAMERA, BagWriter
from reactdiff_ros.recordings.blinding import SessionsFile
from reactdiff_ros.recordings.datasets.recordings import load
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import Picture, Sound, SpeakerFrame

pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/evaluate.txt)")


def test_a_clip_becomes_a_bag_in_its_own_time(clips, tmp_path, reactdiff):
    path = clips("emotions/dreamtalk_m030_sad.mp4")
    for name in ("a", "b"):
        made, _ = reactdiff("bag", "from-video", path, "-o", tmp_path / name, "--json")
    assert (tmp_path / "a" / "recording.mcap").read_bytes() == (tmp_path / "b" / "recording.mcap").read_bytes()
    assert made["sounds"] == 0
    assert "no sound" in made["notes"][0]
    film = [item.offset_ns for item in MediaClip(path).pictures()]
    about, _ = reactdiff("bag", "info", tmp_path / "a", "--json")
    assert [(t["name"], t["messages"]) for t in about["topics"]] == [(CAMERA, len(film))]
    assert about["topics"][0]["rate_hz"] == pytest.approx(25, abs=0.1)
    assert (about["replay"]["picture"], about["replay"]["sound"]) == (CAMERA, None)
    assert about["replay"]["duration_s"] == pytest.approx(film[-1] / NS)


def live_frames(path: Path) -> list[SpeakerFrame]:
    """What the listener is given when the clip is played live in steps of the face's 20 ms."""
    session = ListeningSession(SpeakerPerception(), make_listener("idle", seed=3), ExpressionEngine(seed=3))
    waiting = list(MediaClip(path).pictures_and_sound())
    given: list[SpeakerFrame] = []
    for now_ns in range(0, 6 * NS, NS // 50):
        while waiting and waiting[0].offset_ns <= now_ns:
            item = waiting.pop(0)
            if isinstance(item, ClipPicture):
                session.push_picture(Picture(item.offset_ns, item.bgr))
            else:
                session.push_sound(Sound(item.offset_ns, item.rate_hz, item.samples))
        session.advance(now_ns)
        given.extend(session.speaker_frames)
    return given


def test_extract_writes_what_the_live_path_gives_and_keeps_what_is_there(clips, tmp_path, reactdiff):
    """Two files and a pair in both directions, in one call, with a file that is none and a missing one."""
    names = ("emotions/dreamtalk_m030_angry.mp4", "real3dportrait_may_5s.mp4", "spectre_mead_m030_angry_3s.mp4")
    silent, may, other = map(clips, names)
    broken, missing, out = tmp_path / "broken.mp4", tmp_path / "none.mp4", tmp_path / "out"
    broken.write_bytes(b"no film at all" * 99)
    pair = ["--pair", may, other, "--both-roles", "--people", "may-m030"]
    extract = ["extract", "--output", out, "--json", silent]
    reactdiff(*extract, broken, missing, may, *pair, code=1)
    written, frames = load(out / f"{may.stem}.npz"), live_frames(may)
    assert {p.stat().st_mode & 0o777 for p in out.glob("*.npz")} == {0o600}
    assert written.frames == len(frames) == 125
    np.testing.assert_array_equal(written.stamps_ns, [f.stamp_ns for f in frames])
    np.testing.assert_array_equal(written.speaker.coefficients[0], [f.coefficients for f in frames])
    np.testing.assert_array_equal(written.speaker.confidence[0], [f.confidence for f in frames])
    on, known = written.speaker.microphone[0], [f.voice for f in frames if f.voice is not None]
    assert [f.voice is not None for f in frames] == on.tolist()
    np.testing.assert_array_equal(written.speaker.mfcc[0][on], [v.mfcc for v in known])
    np.testing.assert_array_equal(written.speaker.pause_s[0][on], np.float32([v.pause_s for v in known]))
    there, back = sorted(map(load, out.glob("*--*.npz")), key=lambda r: r.role, reverse=True)
    assert (there.role, back.role) == (other.stem, may.stem)
    assert there.pair == back.pair == "may-m030"
    assert there.session == back.session
    assert there.frames == back.frames == 82
    np.testing.assert_array_equal(there.listener, np.where(there.observed, back.speaker.coefficients[0], 0))
    assert (there.observed <= (back.speaker.confidence[0] >= 0.3)).all()
    assert there.observed.mean() > 0.5
    assert not there.observed[:, 5].any()  # cheekPuff: landmarks cannot show it
    kept = out / f"{silent.stem}.npz"
    before = kept.stat().st_mtime_ns
    found, said = reactdiff(*extract, broken, missing, code=1)
    assert (len(found["failed"]), found["written"], found["kept"]) == (2, [], [str(kept)])
    assert "there is no such media file" in said
    assert kept.stat().st_mtime_ns == before
    reactdiff(*extract, "--force")
    assert kept.stat().st_mtime_ns > before


PLAN = """{name: warm, design: within, participants: 4, conditions: {
  diffusion: {policy: model, style: warm}, scripted: {policy: rules, smiling: 0.5, intensity: 1.2}}}"""


@pytest.fixture
def sealed(tmp_path):
    (tmp_path / "study.yaml").write_text(PLAN)
    assert main(["study", "seal", str(tmp_path / "study.yaml"), "-o", str(tmp_path)]) == 0
    return tmp_path


def test_a_study_is_sealed_once_and_its_bags_are_opened(sealed, reactdiff):
    key, before = sealed / "warm.key.json", (sealed / "warm.key.json").read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "already sealed" in reactdiff("study", "seal", sealed / "study.yaml", "-o", sealed, code=1)[1]
    assert key.read_text() == before
    seals = {row["session"]: row["seal"] for row in SessionsFile(sealed / "warm.sessions.json").rows}

    def record(session: str, of: str) -> None:
        with BagWriter(sealed / "bags" / session, study=Study(session, study="warm", seal=seals[of])):
            pass

    record("p01-1", of="p01-1")
    record("p01-2", of="p01-2")
    about, _ = reactdiff("bag", "info", sealed / "bags" / "p01-1", "--json")
    assert (about["study"]["session_id"], about["study"]["study"]) == ("p01-1", "warm")
    report, _ = reactdiff("study", "open", sealed / "bags", "--key", key, "--json")
    assert {row["condition"] for row in report["recordings"]} == {"diffusion", "scripted"}
    assert report["not_recorded"] == sorted(seals.keys() - {"p01-1", "p01-2"})
    record("p02-1", of="p01-1")
    assert "does not fit" in reactdiff("study", "open", sealed / "bags", "--key", key, code=1)[1]


def test_listen_hands_the_veil_to_the_nodes(sealed, monkeypatch, capsys):
    monkeypatch.setenv(CONDITION_VARIABLE, "")  # so that the test's end removes what the command sets
    monkeypatch.setattr("reactdiff_ros.cli.listen.run", lambda *_, **__: 0)
    path = sealed / "warm.sessions.json"
    assert main(["listen", "--study", str(path), "session:=p02-2", "record:=true"]) == 0
    given = os.environ[CONDITION_VARIABLE]
    assert unveil(given).session == "p02-2"
    captured = capsys.readouterr()
    assert "condition is hidden" in captured.err
    assert "not recorded" not in captured.err
    for word in ("diffusion", "scripted", "rules"):
        assert word not in captured.out + captured.err
    assert main(["study", "veil", str(path), "p02-2"]) == 0
    assert capsys.readouterr().out.strip() == given
