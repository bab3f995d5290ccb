"""Timings of a dialogue: turns and listener responses by time alone; tables that are refused say why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.recordings.datasets.recording import DatasetError
from reactdiff_ros.recordings.datasets.turns import joined, read_turns

A = [(0.0, 10.0), (10.6, 20.0), (30.0, 40.0), (41.0, 50.0), (55.0, 62.0)]


def write(path: Path, people: dict[str, list[tuple[float, float]]], header: str = "begin,end,participant") -> Path:
    rows = [f"{1000 * b},{1000 * e},{name}" for name, of in people.items() for b, e in of]
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def test_who_says_little_while_the_other_has_the_floor_responds(tmp_path: Path) -> None:
    responses = [(5.0, 5.4), (10.1, 10.5), (40.2, 40.6)]  # over A's talk, and in A's pauses
    own = [(20.5, 20.9), (21.2, 29.0), (50.5, 50.9), (51.0, 54.0), (62.5, 62.9)]  # a turn that begins short; an answer
    turns = read_turns(write(tmp_path / "t.csv", {"B": responses + own, "A": A}))
    a, b = turns.people
    assert (a.name, b.name, turns.seconds, turns.left_out) == ("A", "B", 62.9, {})
    assert np.allclose(b.responses, responses)
    assert np.allclose(b.talk, own)
    assert np.allclose(a.talk, A)
    assert len(a.responses) == 0
    assert a.talks(np.array([-1.0, 0.0, 9.99, 10.0, 10.6, 99.0])).tolist() == [False, True, True, False, True, False]


def test_rows_that_cannot_be_used_are_counted_and_overlaps_joined(tmp_path: Path) -> None:
    rows = {"A": [*A, (9.0, 10.2), (7.0, 6.0), (8.0, 8.0)], "B": [(21.0, 29.0)], "": [(1.0, 2.0)], "C": [(1.0, 3.0)]}
    path = write(tmp_path / "t.csv", rows, header="Begin, end ,PARTICIPANT")
    with path.open("a", encoding="utf-8") as file:
        file.write("\nNA,5,A\n\n70")
    turns = read_turns(path)
    assert turns.left_out == {"ends before it begins": 2, "empty": 4, "of a third participant": 1}
    assert turns.people[0].talk[0].tolist() == [0.0, 10.2]
    assert joined(np.array([[5.0, 6.0], [0.0, 9.0], [9.4, 10.0]]), 0.5).tolist() == [[0.0, 10.0]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("begin,end,speaker\n0,90000,A", "no column participant"),
        ("begin,end,participant\n0,x,A", "line 2 has 'x'"),
        ("begin,end,participant\n-5,8,A", "line 2 has '-5'"),
        ("begin,end,participant\n0,90000,A\n9,8,B", "two participants are needed"),
        ("begin,end,participant\n0,9,A\n5,90,B", "last until 0.1 s, not 60 to 7200 s"),
    ],
)
def test_a_table_that_is_no_dialogue_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=why) as caught:
        read_turns(tmp_path / "t.csv")
    assert "t.csv" in str(caught.value)
