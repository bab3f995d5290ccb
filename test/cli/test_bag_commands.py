"""reactdiff bag, extract and study: recordings made, read, extracted and blinded."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from reactdiff_ros.recordings.datasets.recordings import load, recordings
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import Picture, Sound, SpeakerFrame

pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/evaluate.txt)")


Clips = Callable[[str], Path]
Out = pytest.CaptureFixture[str]
SAD, ANGRY = "emotions/dreamtalk_m030_sad.mp4", "emotions/dreamtalk_m030_angry.mp4"


def answer(capfd: Out, *arguments: object) -> dict[str, Any]:
    capfd.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return dict(json.loads(capfd.readouterr().out))


def test_a_clip_becomes_a_bag_in_its_own_time(clips: Clips, tmp_path: Path, capfd: Out) -> None:
    path = clips(SAD)
    for name in ("a", "b"):
        made = answer(capfd, "bag", "from-video", path, "-o", tmp_path / name)
    assert (tmp_path / "a" / "recording.mcap").read_bytes() == (tmp_path / "b" / "recording.mcap").read_bytes()
    assert made["sounds"] == 0
    assert "no sound" in made["notes"][0]
    film = [item.offset_ns for item in MediaClip(path).pictures()]
    about = answer(capfd, "bag", "info", tmp_path / "a")
    assert [(t["name"], t["messages"]) for t in about["topics"]] == [(CAMERA, len(film))]
    assert about["topics"][0]["rate_hz"] == pytest.approx(25, abs=0.1)
    assert (about["replay"]["picture"], about["replay"]["sound"]) == (CAMERA, None)
    assert about["replay"]["duration_s"] == pytest.approx(film[-1] / NS)


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


def test_extract_writes_what_the_live_path_gives_and_keeps_what_is_there(
    clips: Clips, tmp_path: Path, capfd: Out
) -> None:
    """Two files and a pair in both directions, in one call, beside a file that is none and a missing one."""
    silent, may, other = clips(ANGRY), clips("real3dportrait_may_5s.mp4"), clips("spectre_mead_m030_angry_3s.mp4")
    broken, missing, out = tmp_path / "broken.mp4", tmp_path / "none.mp4", tmp_path / "out"
    broken.write_bytes(b"no film at all" * 99)

    def run(*arguments: object) -> int:
        return main(["extract", *map(str, arguments), "--output", str(out), "--json"])

    assert run(broken, missing, silent, may, "--pair", may, other, "--both-roles", "--people", "may-m030") == 1
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

    (tmp_path / "pairs").mkdir()
    for path in out.glob("*--*.npz"):
        path.rename(tmp_path / "pairs" / path.name)
    there, back = sorted(recordings(tmp_path / "pairs"), key=lambda r: r.role, reverse=True)
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
    capfd.readouterr()
    assert run(broken, missing, silent) == 1
    captured = capfd.readouterr()
    answer = json.loads(captured.out)
    assert (len(answer["failed"]), answer["written"], answer["kept"]) == (2, [], [str(kept)])
    assert "there is no such media file" in captured.err
    assert kept.stat().st_mtime_ns == before
    assert run(silent, "--force") == 0
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


def test_a_study_is_sealed_once_and_its_bags_are_opened(sealed: Path, capsys: Out) -> None:
    key, before = sealed / "warm.key.json", (sealed / "warm.key.json").read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert main(["study", "seal", str(sealed / "study.yaml"), "-o", str(sealed)]) == 1
    assert "already sealed" in capsys.readouterr().err
    assert key.read_text() == before

    def record(name: str, session: str, seal: str) -> None:
        with BagWriter(sealed / "bags" / name, study=Study(session, study="warm", seal=seal)):
            pass

    seals = {row["session"]: row["seal"] for row in SessionsFile(sealed / "warm.sessions.json").rows}
    for session in ("p01-1", "p01-2"):
        record(session, session, seals[session])
    about = answer(capsys, "bag", "info", sealed / "bags" / "p01-1")
    assert (about["study"]["session_id"], about["study"]["study"]) == ("p01-1", "warm")
    report = answer(capsys, "study", "open", sealed / "bags", "--key", key)
    assert {row["condition"] for row in report["recordings"]} == {"diffusion", "scripted"}
    assert report["not_recorded"] == sorted(seals.keys() - {"p01-1", "p01-2"})
    record("odd", "p02-1", seals["p01-1"])
    assert main(["study", "open", str(sealed / "bags"), "--key", str(key)]) == 1
    captured = capsys.readouterr()
    assert "does not fit" in captured.err
    assert len(captured.out.splitlines()) == 2


def test_listen_hands_the_veil_to_the_nodes(sealed: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    given: list[str] = []
    monkeypatch.setenv(CONDITION_VARIABLE, "")  # so that the test's end removes what the command sets
    monkeypatch.setattr(
        "reactdiff_ros.cli.listen.run", lambda *_, **__: given.append(os.environ[CONDITION_VARIABLE]) or 0
    )
    path = sealed / "warm.sessions.json"
    assert main(["listen", "--study", str(path), "session:=p02-2", "record:=true"]) == 0
    assert unveil(given[0]).session == "p02-2"
    captured = capsys.readouterr()
    assert "condition is hidden" in captured.err
    assert "not recorded" not in captured.err
    for word in ("diffusion", "scripted", "rules"):
        assert word not in captured.out + captured.err
    assert main(["study", "veil", str(path), "p02-2"]) == 0
    assert capsys.readouterr().out.strip() == given[0]
