"""Timed utterances of two people who talk, as turns and as listener responses.

A table has a row for each utterance, with `begin` and `end` in ms and the `participant`, among any other columns; no
words are read. A listener response differs from a turn by time alone, after the "very short utterances" of Edlund,
Heldner and Pelce (2009, "Prosodic features of very short utterances in dialogue"), which stand for backchannels in any
language: shorter than RESPONSE_S, alone, and said while the other has the floor.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.recordings.datasets.recording import DatasetError, readable_text

Floats = NDArray[np.float64]
COLUMNS: Final = ("begin", "end", "participant")
RESPONSE_S: Final = 0.8
"""Longest listener response; the median of verbal backchannels in Dutch dialogues (IFADV) is 0.38 s."""
JOINED_S: Final = 0.5
"""Utterances of one person that are closer than this belong together: who goes on talking takes a turn."""
SHORTEST_S, LONGEST_S = 60.0, 7200.0
_GAPS: Final = {"", "na", "nan"}


@dataclass(frozen=True, slots=True)
class Participant:
    """When one person talks. Rows (n, 2) are begin and end in s, in order, and do not overlap."""

    name: str
    talk: Floats
    """Utterances that belong to turns."""
    responses: Floats
    """Listener responses to the other."""

    def talks(self, times_s: Floats) -> NDArray[np.bool_]:
        """Which of the times (T,) are within a turn's utterance."""
        return within(self.talk, times_s)


@dataclass(frozen=True, slots=True)
class Turns:
    """A dialogue."""

    people: tuple[Participant, Participant]
    seconds: float
    """From 0 to the end of the last utterance."""
    left_out: dict[str, int]
    """Rows that are not used, by why."""


def read_turns(path: Path) -> Turns:
    """The dialogue of a table; with more than two participants, that of the two who talk most.

    Rows without a time or a participant, and those that end no later than they begin, are left out and counted.

    Raises:
        DatasetError: the table cannot be read, has no such columns, a time that is no number or is before 0, fewer than
            two participants, or is shorter than SHORTEST_S or longer than LONGEST_S.
    """
    said: dict[str, list[tuple[float, float]]] = {}
    left_out: dict[str, int] = {}
    with readable_text(path, "table of timings") as file:
        rows = csv.reader(file)
        names = [name.strip().lower() for name in next(rows, [])]
        if missing := [name for name in COLUMNS if name not in names]:
            raise DatasetError(
                f"the table of timings has no column {', '.join(missing)}", where=str(path),
                todo="it needs begin and end in ms, and participant",
            )  # fmt: skip
        at = [names.index(name) for name in COLUMNS]
        for row in rows:
            begin, end, person = (row[i].strip() if i < len(row) else "" for i in at)
            if person.lower() in _GAPS or begin.lower() in _GAPS or end.lower() in _GAPS:
                why = "empty"
            else:
                span = tuple(_seconds(cell, path, rows.line_num) for cell in (begin, end))
                why = "" if span[0] < span[1] else "ends before it begins"
            if why:
                left_out[why] = left_out.get(why, 0) + 1
            else:
                said.setdefault(person, []).append((span[0], span[1]))
    return _turns(path, said, left_out)


def _seconds(cell: str, path: Path, line: int) -> float:
    try:
        value = float(cell) / 1000.0
    except ValueError:
        value = float("nan")
    if not 0.0 <= value < float("inf"):
        raise DatasetError(
            f"line {line} has {cell[:40]!r} where a time belongs", where=str(path), todo="times are ms from the start"
        )
    return value


def _turns(path: Path, said: dict[str, list[tuple[float, float]]], left_out: dict[str, int]) -> Turns:
    by_talk = sorted(said, key=lambda name: (-sum(end - begin for begin, end in said[name]), name))
    if len(by_talk) < 2:
        raise DatasetError(
            f"two participants are needed, the table of timings has {len(by_talk)}", where=str(path),
            todo="each row needs the participant who talks, and an end after its begin",
        )  # fmt: skip
    if more := sum(len(said[name]) for name in by_talk[2:]):
        left_out["of a third participant"] = more
    names = sorted(by_talk[:2])
    spans = [joined(np.array(said[name]), 0.0) for name in names]
    seconds = float(max(of[-1, 1] for of in spans))
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise DatasetError(
            f"the utterances last until {seconds:.1f} s, not {SHORTEST_S:g} to {LONGEST_S:g} s", where=str(path),
            todo="give a dialogue of this length, with times in ms",
        )  # fmt: skip
    people = [
        Participant(name, own[~short], own[short])
        for name, own, other in zip(names, spans, spans[::-1], strict=True)
        for short in (_responses(own, other),)
    ]
    return Turns((people[0], people[1]), seconds, left_out)


def joined(spans: Floats, gap_s: float) -> Floats:
    """Spans (n, 2) in order, those that overlap or are at most `gap_s` apart as one."""
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    ends = np.maximum.accumulate(spans[:, 1])
    first = np.flatnonzero(np.r_[True, spans[1:, 0] > ends[:-1] + gap_s])
    return np.stack([spans[first, 0], ends[np.r_[first[1:] - 1, len(spans) - 1]]], axis=1)


def _responses(own: Floats, other: Floats) -> NDArray[np.bool_]:
    """Which of one's utterances (n,) are listener responses.

    The other has the floor where the other talks at that time, or where the turns that begin just before and just
    after are the other's.
    """
    mine, theirs = joined(own, JOINED_S), joined(other, JOINED_S)
    long = mine[:, 1] - mine[:, 0] >= RESPONSE_S
    turns = theirs[theirs[:, 1] - theirs[:, 0] >= RESPONSE_S]
    begin = mine[:, 0]
    over = _latest(turns[:, 1], np.searchsorted(turns[:, 0], begin, side="right")) > begin
    own_begins, other_begins = mine[long, 0], turns[:, 0]
    last_own, last_other = (_latest(b, np.searchsorted(b, begin)) for b in (own_begins, other_begins))
    before = last_other > last_own
    after = _next(other_begins, begin) < _next(own_begins, begin)
    short = ~long & (over | (before & after))
    return np.asarray(short[np.searchsorted(begin, own[:, 0], side="right") - 1])


def within(spans: Floats, times_s: Floats) -> NDArray[np.bool_]:
    """Which of the times (T,) are within spans (n, 2), which are in order and do not overlap."""
    return np.asarray(times_s < _latest(spans[:, 1], np.searchsorted(spans[:, 0], times_s, side="right")))


def _latest(values: Floats, count: NDArray[np.intp]) -> Floats:
    """The last of the first `count` values, -inf where there is none."""
    return np.asarray(np.r_[-np.inf, values][count])


def _next(values: Floats, after: Floats) -> Floats:
    """The first of the rising values above each of `after`, inf where there is none."""
    return np.asarray(np.r_[values, np.inf][np.searchsorted(values, after, side="right")])
