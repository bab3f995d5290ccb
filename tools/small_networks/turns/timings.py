"""Rows to learn and judge turns from, of who talked when: features as the tracker has them live, and what came next.

Of every dialogue each participant is the person once and the other one the robot. The voice is heard with the delays
of perception: an utterance is noticed ONSET_S after it began, its end after the hang-over.

Gaze is of an ELAN file (.eaf) as the IFADV corpus has them: tiers whose participant is "kijkrichting" (Dutch: direction
of gaze) and a speaker's name, with "g" where they look at the other.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import to_ns
from reactdiff_ros.perception.voice import HANG_OVER_S
from reactdiff_ros.recordings.datasets.recording import DatasetError
from reactdiff_ros.recordings.datasets.turns import Participant, Turns, joined
from reactdiff_ros.turns.features import pause_columns, situation_columns, state_of
from reactdiff_ros.turns.floor import Floor

Floats = NDArray[np.float64]
ONSET_S: Final = 0.1
TICK_S: Final = 0.05
SOON_S: Final = 0.6
"""p_now, p_user_starts and p_backchannel look so far ahead, p_future from there to LATER_S."""
LATER_S: Final = 2.0
TERMINAL_S: Final = 0.5
"""Who begins so shortly before the other's end does not interrupt, but comes early."""
LONGEST_S: Final = 2.5
"""What silence says is learnt up to here."""
TIER: Final = "kijkrichting "
CONTACT: Final = "g"
LARGEST_BYTES: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Samples of one head: columns (N, n), labels (N,), and which conversation and which unit each is of."""

    columns: Floats
    labels: NDArray[np.bool_]
    dialogue: NDArray[np.intp]
    unit: NDArray[np.intp]
    """The pause or utterance that a sample is of, counted through; samples of one belong together."""
    time_s: Floats
    """Of a pause: silence so far. Else the time in the dialogue."""


def rows_of(samples: Sequence[tuple[Any, ...]]) -> Rows:
    """Samples of (columns, label, time, dialogue, unit)."""
    columns, labels, times, places, units = map(np.array, zip(*samples, strict=True) if samples else [()] * 5)
    return Rows(columns, labels.astype(bool), places, units, times)


@dataclass(frozen=True, slots=True)
class Pause:
    """A silence of a person after an utterance of a turn."""

    person: int
    begin_s: float
    end_s: float
    """When they go on; for the end of a turn, when they speak next."""
    ends: bool
    """The turn ended: the other takes it before they go on."""
    floor: Floor
    """As it was when the silence began, and if the other said nothing."""


def talk_of(person: Participant, responses: bool = True) -> Floats:
    """(n, 2) when they make sound, as perception joins it."""
    spans = np.concatenate([person.talk, person.responses]) if responses else person.talk
    return joined(spans, HANG_OVER_S) if len(spans) else spans


def pauses_of(turns: Turns) -> list[Pause]:
    """The silences of both participants after utterances of turns, of at least HANG_OVER_S."""
    found = []
    for number, (person, other) in enumerate(zip(turns.people, turns.people[::-1], strict=True)):
        every, own = talk_of(person), talk_of(person, responses=False)
        own_ends = set(np.round(own[:, 1], 6))
        floor = Floor()
        for kind, at_s, _ in _moments(every, other.talk):
            at_ns = to_ns(at_s)
            if kind == "ends" and round(float(at_s), 6) in own_ends:
                alone = copy.deepcopy(floor)
                alone.hear_robot(False, at_ns)
                alone.seize()
                alone.hear_user(False, 0, at_ns)
                resumes = own[own[:, 0] > at_s + 1e-6, 0]
                end_s = float(resumes[0]) if len(resumes) else turns.seconds
                taken = bool(((other.talk[:, 0] < end_s) & (other.talk[:, 1] > at_s)).any())
                if end_s - at_s >= HANG_OVER_S and (taken or len(resumes)):
                    found.append(Pause(number, float(at_s), end_s, taken, alone))
            _apply(floor, kind, at_ns)
    return found


def _apply(floor: Floor, kind: str, at_ns: int) -> None:
    if kind == "begins":
        floor.hear_user(True, at_ns, None)
    elif kind == "ends":
        floor.hear_user(False, 0, at_ns)
    else:
        floor.hear_robot(kind == "robot begins", at_ns)


def _moments(own: Floats, robot: Floats) -> list[tuple[str, float, int]]:
    rows: list[tuple[float, int, str, int]] = []
    for i, (begin, end) in enumerate(own):
        rows += [(begin, 3, "begins", i), (end, 1, "ends", i)]
    for i, (begin, end) in enumerate(robot):
        rows += [(begin, 2, "robot begins", i), (end, 0, "robot ends", i)]
    return [(kind, at, i) for at, _, kind, i in sorted(rows)]


def pause_rows(dialogues: Iterable[Turns]) -> Rows:
    """Samples every TICK_S of silences: holds until the person goes on, ends of turns up to LONGEST_S, as if the other
    had not answered; so the share of ends at a silence is that which a listener meets who waits.
    """
    samples: list[tuple[Any, ...]] = []
    unit = 0
    for number, turns in enumerate(dialogues):
        for pause in pauses_of(turns):
            last_s = LONGEST_S if pause.ends else min(pause.end_s - pause.begin_s, LONGEST_S)
            for silence_s in np.arange(max(HANG_OVER_S, TICK_S), last_s, TICK_S):
                columns = pause_columns(pause.floor, to_ns(pause.begin_s + silence_s))
                samples.append((columns, pause.ends, silence_s, number, unit))
            unit += 1
    return rows_of(samples)


def situation_rows(dialogues: Iterable[Turns], every: int = 1) -> dict[str, Rows]:
    """Samples of the other heads, one tick in `every`."""
    names = ("now", "future", "user_starts", "backchannel", "barge_in")
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in names}
    unit = 0
    for number, turns in enumerate(dialogues):
        for person, other in zip(turns.people, turns.people[::-1], strict=True):
            unit += 1
            for name, *row in _situations(person, other, turns.seconds, every):
                found[name].append((*row, number, unit))
    return {name: rows_of(samples) for name, samples in found.items()}


def _situations(
    person: Participant, other: Participant, seconds: float, every: int
) -> Iterable[tuple[str, Floats, bool, float]]:
    own, theirs, robot = talk_of(person), talk_of(other), other.talk
    spoken, answered = _integral(own, seconds), _integral(theirs, seconds)
    turn_begins = person.talk[:, 0]
    floor = Floor()
    delayed = np.stack([np.minimum(own[:, 0] + ONSET_S, own[:, 1]), own[:, 1] + HANG_OVER_S], axis=1)
    moments = _moments(delayed, robot)
    at = 0
    for tick in range(1, int((seconds - LATER_S) / TICK_S)):
        t = tick * TICK_S
        while at < len(moments) and moments[at][1] <= t:
            kind, when_s, i = moments[at]
            if kind in ("begins", "ends"):  # perception says when it was, though it notices later
                when_s = own[i, int(kind == "ends")]
            _apply(floor, kind, to_ns(when_s))
            at += 1
        if tick % every:
            continue
        columns, state = situation_columns(floor, to_ns(t)), state_of(floor)
        for name, begin, end in (("now", t, t + SOON_S), ("future", t + SOON_S, t + LATER_S)):
            mine = float(np.interp(end, *spoken) - np.interp(begin, *spoken))
            of_other = float(np.interp(end, *answered) - np.interp(begin, *answered))
            if mine + of_other > 0.05:
                yield name, columns, mine > of_other, t
        if not floor.user.speaking:
            yield "user_starts", columns, _begins(own[:, 0], t), t
        if not floor.robot.speaking and state not in ("no_one_spoke", "robot_paused"):
            yield "backchannel", columns, _begins(other.responses[:, 0], t), t
        if state == "both":
            current = own[np.searchsorted(own[:, 0], t, side="right") - 1]
            over = robot[np.searchsorted(robot[:, 0], t, side="right") - 1]
            if over[1] - max(current[0], over[0]) < TERMINAL_S:
                continue  # the floor was free anyway
            turn = bool(((turn_begins >= current[0] - 1e-6) & (turn_begins <= current[1])).any())
            yield "barge_in", columns, turn, t


def _begins(begins: Floats, t: float) -> bool:
    i = int(np.searchsorted(begins, t, side="right"))
    return i < len(begins) and bool(begins[i] <= t + SOON_S)


def _integral(spans: Floats, seconds: float) -> tuple[Floats, Floats]:
    """Times and the speech so far, for interpolation."""
    spans = joined(spans, 0.0)
    times = np.concatenate([[0.0], spans.ravel(), [seconds + LATER_S]])
    gained = np.zeros(len(times))
    gained[2::2] = np.diff(spans, axis=1)[:, 0]
    return times, np.cumsum(gained)


def read_gaze(path: Path) -> dict[str, Floats]:
    """By the name of a speaker: when they look at the other, rows (n, 2) of begin and end in s.

    Raises:
        DatasetError: the file cannot be read or has no such tier.
    """
    try:
        data = path.read_bytes()
        if len(data) > LARGEST_BYTES or b"<!ENTITY" in data:
            raise ValueError("it is not an annotation")
        root = ElementTree.fromstring(data)
        at = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "-1")) for slot in root.iter("TIME_SLOT")}
        found = {}
        for tier in root.iter("TIER"):
            who = tier.get("PARTICIPANT", "")
            if not who.startswith(TIER):
                continue
            spans = [
                (at[item.get("TIME_SLOT_REF1")] / 1000.0, at[item.get("TIME_SLOT_REF2")] / 1000.0)
                for item in tier.iter("ALIGNABLE_ANNOTATION")
                if (item.findtext("ANNOTATION_VALUE") or "").strip() == CONTACT
            ]
            spans = [span for span in sorted(spans) if 0.0 <= span[0] < span[1] and math.isfinite(span[1])]
            found[who.removeprefix(TIER)] = np.array(spans).reshape(-1, 2)
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        raise DatasetError("the annotated gaze cannot be read", where=str(path), todo="give an ELAN file") from error
    if not found:
        raise DatasetError(
            "the file has no tiers of gaze", where=str(path), todo=f"participants must be called '{TIER}NAME'"
        )
    return found
