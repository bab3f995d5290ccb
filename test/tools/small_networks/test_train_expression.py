"""The read-out of expressions: its table of recordings, how they are read, and the command."""

import json
from itertools import islice

import cv2
import numpy as np
import pytest

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.perception.expression import FEATURES
from reactdiff_ros.resources import demo_clip_path
from tools.small_networks.expression import HELD, read_clips
from tools.small_networks.expression_clips import COLUMNS, SHOWN, Span, read_spans

HEADER = ",".join(COLUMNS)


@pytest.fixture
def folder(tmp_path):
    """Of recordings: the first 6 s of the demo speaker, and a photograph of her."""
    at = tmp_path / "clips" / "owner" / "name"
    at.mkdir(parents=True)
    pictures = [picture.bgr for picture in islice(MediaClip(demo_clip_path()).pictures(), 150)]
    writer = cv2.VideoWriter(str(at / "talk.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, pictures[0].shape[1::-1])
    for picture in pictures:
        writer.write(picture)
    writer.release()
    cv2.imwrite(str(at / "photo.png"), pictures[0])
    return tmp_path / "clips"


@pytest.mark.parametrize(("rows", "problem"), [
    ("a,b", "needs the columns"),
    (f"{HEADER}\no/n,c,x.mp4,p,cheerful,,", "the label 'cheerful' is none of"),
    (f"{HEADER}\no/n,c,x.mp4,p,happy,3,1", "begin_s must be"),
    (f"{HEADER}\no/n,c,../x.mp4,p,happy,,", "repository, path"),
])  # fmt: skip
def test_a_wrong_table_is_refused_in_one_sentence(rows, problem, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(rows)
    with pytest.raises(ConfigError, match=problem) as raised:
        read_spans(table)
    assert str(table) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_spans_are_read_at_their_times_a_photograph_is_held_and_missing_ones_are_counted_first(folder):
    def span(path: str, label: str, begin_s: float = 0.0, end_s: float = np.inf) -> Span:
        return Span("owner/name", "0" * 40, path, "him", label, begin_s, end_s)

    spans = [span("talk.mp4", "neutral", 1.0, 2.0), span("talk.mp4", "happy", 3.0, 3.5), span("photo.png", "sad")]
    early, late, photo = read_clips(spans, folder, lambda path: None)
    assert [SHOWN[clip.label] for clip in (early, late, photo)] == ["neutral", "happy", "sad"]
    assert early.features.shape == (len(early.stamps_ns), len(FEATURES))
    assert np.ptp(early.stamps_ns) / 1e9 == pytest.approx(1.0, abs=0.1)
    assert (late.stamps_ns[0] - early.stamps_ns[0]) / 1e9 == pytest.approx(2.0, abs=0.1)
    assert 0 < len(photo.features) <= HELD
    with pytest.raises(ConfigError, match=r"2 of the table's recordings are missing, such as .*away\.mp4"):
        read_clips([*spans, span("gone.mp4", "happy"), span("away.mp4", "sad")], folder, pytest.fail)


def test_the_command_trains_on_a_table_and_says_how_well_people_are_read(folder, tmp_path, reactdiff):
    table, output = tmp_path / "table.csv", tmp_path / "expression.json"
    rows = [("her", "neutral", 0, 1), ("her", "happy", 1, 2), ("him", "neutral", 2, 4), ("him", "sad", 4, 5)]
    lines = [f"owner/name,{'0' * 40},talk.mp4,{person},{label},{a},{b}" for person, label, a, b in rows]
    table.write_text("\n".join([HEADER, *lines]))
    reactdiff("dev", "train-expression", "--clips", folder, "--table", table, "--output", output)
    found = json.loads(output.read_text())
    assert np.shape(found["weights"]) == (len(SHOWN), len(FEATURES) + 1)
    assert found["people_not_trained_on"]["people"][SHOWN.index("neutral")] == 2
    assert found["trained_on"]["people"] == 2
