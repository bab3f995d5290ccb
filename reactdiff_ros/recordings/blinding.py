"""Blind conditions: dealt out in balance, hidden from the operator, and opened with a key kept apart.

The robot's machine must know what it runs. There the settings lie under a *veil* (`launching.veil`): no one reads them
by accident, but the machine can lift it. The bag keeps a *seal*, a random text that does not reveal the
condition; the key says which condition each seal stands for.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.launching.condition import SALT_BYTES, Condition, Setting, unveil, veil
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.recordings.bags.storage import BagFiles, entries, is_bag, study_of

FORMAT: Final = 2
SESSIONS_KIND: Final = "reactdiff_ros sessions"
KEY_KIND: Final = "reactdiff_ros key"
SEAL_BYTES: Final = 16


# ---- The plan, and who meets what when

_SETTING: Final = (bool, int, float, str)
DESIGNS: Final = ("within", "between")
MOST_CONDITIONS: Final = 12
MOST_PARTICIPANTS: Final = 10_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_PLAN_KEYS: Final = ("name", "design", "participants", "conditions", "seed")


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a study compares, and with whom."""

    name: str
    design: str
    """within: each participant meets every condition; between: each meets one."""
    participants: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Setting]]
    """Name -> settings of the listener."""
    seed: int | None = None
    """Of the allocation; None: one is drawn when the study is sealed."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sitting of one participant under one condition."""

    id: str
    participant: str
    position: int
    """1: the participant's first."""
    condition: str


def read_plan(text: str, where: str) -> StudyPlan:
    """The study that a YAML text describes.

    Raises:
        ConfigError: it is no YAML, or something in it is missing, unknown or of the wrong form.
    """
    try:
        found = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError("the study is not a YAML file", where=where, todo=" ".join(str(error).split())) from error
    if not isinstance(found, dict):
        raise _wrong(where, "it has no keys", f"give {', '.join(_PLAN_KEYS)}")
    unknown = [str(key) for key in found if key not in _PLAN_KEYS]
    if unknown:
        raise _wrong(where, f"it has an unknown key {unknown[0]!r}", f"use {', '.join(_PLAN_KEYS)}")
    name = found.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong(where, "its name is missing or no name", "give name: letters, digits, '_', '-', '.'")
    if found.get("design") not in DESIGNS:
        raise _wrong(where, f"its design is {found.get('design')!r}", f"give design: {' or '.join(DESIGNS)}")
    seed = found.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63):
        raise _wrong(where, f"its seed is {seed!r}", "give a whole number of 0 and more, or leave it out")
    participants = _participants(found.get("participants"), where)
    return StudyPlan(name, found["design"], participants, _conditions(found.get("conditions"), where), seed)


def sessions_of(plan: StudyPlan, seed: int) -> list[Session]:
    """All sessions, participant by participant in their order; the same seed gives the same ones.

    within: rows of Williams squares, in which every condition has every place equally often and follows every
    other equally often; each whole square is dealt in its own order. between: blocks in which every condition
    comes once or twice, of random length, so that the last ones cannot be guessed.
    """
    rng = np.random.default_rng(seed)
    names = [list(plan.conditions)[i] for i in rng.permutation(len(plan.conditions))]
    if plan.design == "between":
        dealt: list[str] = []
        while len(dealt) < len(plan.participants):
            block = names * int(rng.integers(1, 3))
            dealt += [block[i] for i in rng.permutation(len(block))]
        return [Session(who, who, 1, name) for who, name in zip(plan.participants, dealt, strict=False)]
    square = williams(len(names))
    rows: list[list[int]] = []
    while len(rows) < len(plan.participants):
        rows += [square[i] for i in rng.permutation(len(square))]
    return [
        Session(f"{who}-{k + 1}", who, k + 1, names[which])
        for who, row in zip(plan.participants, rows, strict=False)
        for k, which in enumerate(row)
    ]


def williams(count: int) -> list[list[int]]:
    """Orders of `count` conditions, balanced for place and for what goes before: `count` rows, twice as many if odd."""
    first = [0]
    for k in range(1, count):
        first.append((k + 1) // 2 if k % 2 else count - k // 2)
    rows = [[(value + shift) % count for value in first] for shift in range(count)]
    return rows if count % 2 == 0 else rows + [row[::-1] for row in rows]


def balance(sessions: Sequence[Session], plan: StudyPlan) -> str:
    """One sentence on what is not balanced; empty: everything is."""
    if plan.design == "between":
        found = Counter(s.condition for s in sessions)
        counts = [found[name] for name in plan.conditions]
        return "" if len(set(counts)) == 1 else f"groups differ in size: {min(counts)} to {max(counts)} participants"
    whole = len(williams(len(plan.conditions)))
    left = len(plan.participants) % whole
    if not left:
        return ""
    return f"orders are balanced in every {whole} participants: the last {left} are not a whole square"


def _participants(given: Any, where: str) -> tuple[str, ...]:
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MOST_PARTICIPANTS:
        width = max(2, len(str(given)))
        return tuple(f"p{i + 1:0{width}}" for i in range(given))
    if isinstance(given, list) and 1 <= len(given) <= MOST_PARTICIPANTS:
        names = tuple(str(one) for one in given)
        if all(_NAME.fullmatch(one) for one in names) and len(set(names)) == len(names):
            return names
    raise _wrong(where, "its participants are missing", "give participants: a number, or a list of different names")


def _conditions(given: Any, where: str) -> dict[str, dict[str, Setting]]:
    if not isinstance(given, dict) or not 2 <= len(given) <= MOST_CONDITIONS:
        raise _wrong(where, "it has no conditions to compare", f"give conditions: 2 to {MOST_CONDITIONS} of them")
    conditions: dict[str, dict[str, Setting]] = {}
    for name, settings in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _wrong(where, f"the condition {name!r} has no name", "use letters, digits, '_', '-', '.'")
        if not isinstance(settings, dict) or not all(isinstance(v, _SETTING) for v in settings.values()):
            raise _wrong(where, f"the condition {name} has no settings", "give it some, such as {policy: rules}")
        conditions[name] = {str(key): value for key, value in settings.items()}
    return conditions


def _wrong(where: str, what: str, todo: str) -> ConfigError:
    return ConfigError(f"the study cannot be used, {what}", where=where, todo=todo)


# ---- Sessions and key


@dataclass(frozen=True, slots=True)
class Opened:
    """What the key says about one session."""

    study: str
    session: str
    participant: str
    position: int
    condition: str
    settings: Mapping[str, Setting]


def seal(
    plan: StudyPlan, sessions: Sequence[Session], seed: int, random_bytes: Callable[[int], bytes]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two files of a study, as JSON: the sessions for the robot's machine, and the key for the analyst.

    Args:
        plan: the study.
        sessions: which participant meets which condition.
        seed: of the allocation; the key keeps it.
        random_bytes: returns that many random bytes.
    """
    rows = []
    keys: dict[str, dict[str, Any]] = {}
    for session in sessions:
        mark = random_bytes(SEAL_BYTES).hex()
        condition = Condition(plan.name, session.id, mark, plan.conditions[session.condition])
        who = {"participant": session.participant, "position": session.position}
        rows.append({"session": session.id, **who, "seal": mark, "veil": veil(condition, random_bytes(SALT_BYTES))})
        keys[session.id] = {**who, "condition": session.condition, "seal": mark}
    about = {"format": FORMAT, "study": plan.name, "design": plan.design}
    conditions = {name: dict(settings) for name, settings in plan.conditions.items()}
    public = {"kind": SESSIONS_KIND, **about, "sessions": rows}
    return public, {"kind": KEY_KIND, **about, "seed": seed, "conditions": conditions, "sessions": keys}


class SessionsFile:
    """The sessions of a study on the robot's machine.

    Raises:
        ConfigError: the file cannot be read, or is none of sessions.
    """

    def __init__(self, path: Path) -> None:
        content = _read(path, SESSIONS_KIND, "a sessions file of 'reactdiff study seal'")
        self.path, self.study = path, str(content.get("study"))
        rows = content.get("sessions")
        good = isinstance(rows, list) and all(
            isinstance(row, dict) and all(isinstance(row.get(k), str) for k in ("session", "veil")) for row in rows
        )
        if not good:
            raise ConfigError("the sessions file has no sessions", where=str(path))
        self.rows: list[dict[str, Any]] = list(rows or [])

    def veil_of(self, session: str) -> str:
        """The veiled condition of a session. Raises ConfigError where there is no such session."""
        for row in self.rows:
            if row["session"] == session:
                unveil(row["veil"])
                return str(row["veil"])
        raise ConfigError(
            f"the study {self.study} has no session {session!r}", where=str(self.path),
            todo="'reactdiff study sessions' lists them",
        )  # fmt: skip


class Key:
    """What the analyst keeps apart: it opens seals.

    Raises:
        ConfigError: the file cannot be read, or is no key.
    """

    def __init__(self, path: Path) -> None:
        content = _read(path, KEY_KIND, "a key of 'reactdiff study seal'")
        self._path = path
        self.study = str(content.get("study"))
        try:
            self.conditions = {str(n): dict(s) for n, s in content["conditions"].items()}
            self._sessions = {
                str(id_): (str(row["participant"]), int(row["position"]), str(row["condition"]), str(row["seal"]))
                for id_, row in content["sessions"].items()
            }
            unknown = {row[2] for row in self._sessions.values()} - self.conditions.keys()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError("the key is damaged", where=str(path), todo=f"take its copy ({error!r})") from error
        if unknown:
            raise ConfigError(f"the key knows no condition {min(unknown)}", where=str(path), todo="take its copy")

    def sessions(self) -> list[str]:
        """Ids of all sessions."""
        return list(self._sessions)

    def open(self, study: str, session: str, seal_: str) -> Opened:
        """What a session ran.

        Raises:
            ConfigError: of another study, unknown, or its seal is not the one that this key made.
        """
        if study != self.study:
            raise ConfigError(
                f"this is the study {study or '(none)'}, the key opens {self.study}", where=str(self._path),
                todo="take the key of that study",
            )  # fmt: skip
        if session not in self._sessions:
            raise ConfigError(f"the key has no session {session!r}", where=str(self._path))
        participant, position, condition, own_seal = self._sessions[session]
        if seal_ != own_seal:
            raise ConfigError(
                f"the seal of session {session} does not fit the key", where=str(self._path),
                todo="the recording, or the key, is another one or was changed",
            )  # fmt: skip
        return Opened(study, session, participant, position, condition, self.conditions[condition])


def _read(path: Path, kind: str, what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("the file cannot be read", where=str(path), todo=str(error.strerror)) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError("the file is not JSON", where=str(path), todo=f"give {what}") from error
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise ConfigError("this is another file", where=str(path), todo=f"give {what}")
    if content.get("format") != FORMAT:
        raise ConfigError(
            f"the file is of format {content.get('format')!r}",
            where=str(path),
            todo="it was written by another version",
        )
    return content


def sealed_bags(paths: Iterable[Path]) -> Iterator[Path]:
    """The bags among `paths` and below their folders, by name.

    Raises:
        MediaError: a folder cannot be read.
    """
    for path in paths:
        if is_bag(path) or not path.is_dir():
            yield path
        else:
            yield from sealed_bags(p for p in entries(path) if p.is_dir() or is_bag(p))


def opened(bag: Path, key: Key) -> Opened | str:
    """What a bag's session ran, or the sentence that says why it is unknown."""
    try:
        study = study_of(BagFiles(bag).custom_data)
        if study is None or not study.seal:
            return "it is no recording of a blind session"
        return key.open(study.study, study.session_id, study.seal)
    except ReactdiffError as error:
        return str(error)
