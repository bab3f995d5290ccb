"""The read-out of expressions: its table of recordings, how they are fetched and read, and the command."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.perception.expression import FEATURES
from reactdiff_ros.resources import demo_clip_path
from tools.small_networks.commands import train_expression
from tools.small_networks.expression import FRAME_NS, HELD, read_clips
from tools.small_networks.expression_clips import COLUMNS, SHOWN, TABLE, Span, fetch, read_spans

HEADER = ",".join(COLUMNS)


def span(path: str, person: str, label: str, begin_s: float = 0.0, end_s: float = float("inf")) -> Span:
    return Span("owner/name", "0" * 40, path, person, label, begin_s, end_s)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 6 s of the demo speaker."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    pictures = [picture.bgr for picture in islice(MediaClip(demo_clip_path()).pictures(), 150)]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, pictures[0].shape[1::-1])
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


@pytest.fixture
def folder(talk: Path, tmp_path: Path) -> Path:
    """Of recordings: the demo speaker, and a photograph of her."""
    at = tmp_path / "clips" / "owner" / "name"
    at.mkdir(parents=True)
    shutil.copy(talk, at / "talk.mp4")
    cv2.imwrite(str(at / "photo.png"), next(MediaClip(talk).pictures()).bgr)
    return tmp_path / "clips"


def test_the_shipped_table_has_people_for_every_expression() -> None:
    spans = read_spans(TABLE)
    people = {label: {s.person for s in spans if s.label == label} for label in SHOWN}
    assert all(len(of) >= 3 for label, of in people.items() if label != "crying")
    assert min(len(people["neutral"]), len(people["happy"])) >= 30  # what most people show
    assert not [s for s, count in Counter(spans).items() if count > 1]
    assert all(len(s.commit) == 40 for s in spans)


@pytest.mark.parametrize(("rows", "problem"), [
    (None, "the table cannot be read"),
    ("a,b", "needs the columns"),
    (f"{HEADER}\no/n,c,x.mp4,p,cheerful,,", "the label 'cheerful' is none of"),
    (f"{HEADER}\no/n,c,x.mp4,p,happy,3,1", "begin_s must be"),
    (f"{HEADER}\no/n,c,x.mp4,p,happy,nan,", "begin_s must be"),
    (f"{HEADER}\no/n,c,x.mp4,p,happy,soon,", "could not convert"),
    (f"{HEADER}\no/n,c,../x.mp4,p,happy,,", "repository, path"),
    (f"{HEADER}\n,c,/etc/x.mp4,p,happy,,", "repository, path"),
    (f"{HEADER}\no/n,c,x.mp4", "the label ''"),
])  # fmt: skip
def test_a_wrong_table_is_refused_in_one_sentence(rows: str | None, problem: str, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    if rows is not None:
        table.write_text(rows)
    with pytest.raises(ConfigError) as raised:
        read_spans(table)
    assert problem in str(raised.value)
    assert str(table) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_spans_of_one_recording_are_read_at_their_times_and_a_photograph_is_held(folder: Path) -> None:
    spans = [span("talk.mp4", "him", "neutral", 1.0, 2.0), span("talk.mp4", "him", "happy", 3.0, 3.5),
             span("photo.png", "him", "sad")]  # fmt: skip
    early, late, photo = read_clips(spans, folder, lambda path: None)
    assert [SHOWN[clip.label] for clip in (early, late, photo)] == ["neutral", "happy", "sad"]
    assert early.features.shape == (len(early.stamps_ns), len(FEATURES))
    assert np.ptp(early.stamps_ns) / 1e9 == pytest.approx(1.0, abs=0.1)
    assert (late.stamps_ns[0] - early.stamps_ns[0]) / 1e9 == pytest.approx(2.0, abs=0.1)
    assert 0 < len(photo.features) <= HELD
    assert np.ptp(photo.stamps_ns) == FRAME_NS * (len(photo.features) - 1)


def test_missing_recordings_are_counted_before_any_is_read(folder: Path) -> None:
    spans = [span("talk.mp4", "him", "happy"), span("gone.mp4", "him", "neutral"), span("away.mp4", "her", "sad")]
    with pytest.raises(ConfigError, match=r"2 of the table's recordings are missing, such as .*away\.mp4"):
        read_clips(spans, folder, lambda path: pytest.fail("one was read"))


@pytest.mark.slow
def test_an_acted_recording_is_read_after_the_neutral_one_too(folder: Path) -> None:
    shutil.copy(folder / "owner/name/talk.mp4", folder / "owner/name/acted.mp4")
    spans = [span("acted.mp4", "him", "happy"), span("talk.mp4", "him", "neutral")]
    cold, known, neutral = read_clips(spans, folder, lambda path: None)
    assert [SHOWN[clip.label] for clip in (cold, known, neutral)] == ["happy", "happy", "neutral"]
    assert known.stamps_ns[0] > cold.stamps_ns[-1]
    assert np.abs(known.features[:5] - cold.features[:5]).max() > 0.01  # the personal neutral is known


def test_the_command_trains_on_a_table_and_says_how_well_people_are_read(folder: Path, tmp_path: Path) -> None:
    table, output = tmp_path / "table.csv", tmp_path / "expression.json"
    rows = [("her", "neutral", 0, 1), ("her", "happy", 1, 2), ("him", "neutral", 2, 4), ("him", "sad", 4, 5)]
    lines = [f"owner/name,{'0' * 40},talk.mp4,{person},{label},{a},{b}" for person, label, a, b in rows]
    table.write_text("\n".join([HEADER, *lines]))
    words = ["--clips", str(folder), "--table", str(table), "--output", str(output), "--json"]
    done = CliRunner().invoke(train_expression, words)
    assert done.exit_code == 0, done.output
    found = json.loads(output.read_text())
    assert np.shape(found["weights"]) == (len(SHOWN), len(FEATURES) + 1)
    assert found["people_not_trained_on"]["people"][SHOWN.index("neutral")] == 2
    assert found["trained_on"]["people"] == 2


def test_recordings_come_from_their_repositories_once(tmp_path: Path) -> None:
    origin = tmp_path / "origin" / "owner" / "name"
    origin.mkdir(parents=True)
    git = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (origin / "talk.mp4").write_bytes(b"old")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "old"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    (origin / "talk.mp4").write_bytes(b"new")
    subprocess.run([*git, "commit", "-qam", "new"], check=True)

    there = span("talk.mp4", "him", "happy")._replace(commit=commit)
    gone, nowhere = there._replace(path="gone.mp4"), there._replace(repository="owner/other")
    problems = fetch([there, gone, nowhere], tmp_path / "clips", f"{tmp_path}/origin/")
    assert there.file(tmp_path / "clips").read_bytes() == b"old"
    assert [problem.split(":")[0] for problem in problems] == ["owner/name", f"{tmp_path}/origin/owner/other"]
    shutil.rmtree(origin)
    assert fetch([there], tmp_path / "clips", f"{tmp_path}/origin/") == []
