"""Blind conditions: dealt out in balance, hidden from the operator, and opened with a key kept apart.

The robot's machine must know what it runs. There the settings lie under a *veil* (`launching.veil`): no one reads them
by accident, but the machine can lift it. The bag keeps a *seal*, a random text that does not reveal the
condition; the key says which condition each seal stands for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.dataclasses import dataclass as validated

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.launching.condition import SALT_BYTES, Condition, Setting, unveil, veil
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.recordings.bags.storage import BagFiles, entries, is_bag, study_of

FORMAT: Final = 2
SESSIONS_KIND: Final = "reactdiff_ros sessions"
KEY_KIND: Final = "reactdiff_ros key"
SEAL_BYTES: Final = 16


# ---- The plan, and who meets what when

MOST_CONDITIONS: Final = 12
MOST_PARTICIPANTS: Final = 10_000
Name = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
_KEYS: Final = {
    "name": "letters, digits, '_', '-', '.'",
    "design": "within or between",
    "participants": "a number, or a list of different names",
    "conditions": f"2 to {MOST_CONDITIONS}, each with settings such as {{policy: rules}}",
    "seed": "a whole number of 0 and more; may be left out",
}
"""What a study has, for sentences."""


def _listed(given: Any) -> Any:
    """Participants p01, p02 ... where their number is given."""
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MOST_PARTICIPANTS:
        width = max(2, len(str(given)))
        return tuple(f"p{i + 1:0{width}}" for i in range(given))
    return [str(name) for name in given] if isinstance(given, list) else given


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("two have the same name")
    return names


@validated(frozen=True, config=ConfigDict(extra="forbid"))
class StudyPlan:
    """What a study compares, and with whom. Raises pydantic's ValidationError for what cannot be."""

    name: Name
    design: Literal["within", "between"]
    """within: each participant meets every condition; between: each meets one."""
    participants: Annotated[
        tuple[Name, ...], Field(min_length=1, max_length=MOST_PARTICIPANTS), BeforeValidator(_listed),
        AfterValidator(_different),
    ]  # fmt: skip
    conditions: Annotated[dict[Name, dict[str, Setting]], Field(min_length=2, max_length=MOST_CONDITIONS)]
    """Name -> settings of the listener."""
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] | None = None
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
        raise ConfigError("the study cannot be used, it has no keys", where=where, todo=f"give {', '.join(_KEYS)}")
    try:
        return StudyPlan(**{str(key): value for key, value in found.items()})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        todo = f"give {key}: {_KEYS[key]}" if key in _KEYS else f"use {', '.join(_KEYS)}"
        raise ConfigError(f"the study cannot be used, {what}", where=where, todo=todo) from error


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


# ---- Sessions and key


@dataclass(frozen=True, slots=True)
class Opened:
    """What the key says about one session."""

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
        todo = "'reactdiff study sessions' lists them"
        raise ConfigError(f"the study {self.study} has no session {session!r}", where=str(self.path), todo=todo)


class Key:
    """What the analyst keeps apart: it opens seals. Raises ConfigError: the file cannot be read, or is no key."""

    def __init__(self, path: Path) -> None:
        content = _read(path, KEY_KIND, "a key of 'reactdiff study seal'")
        self._path = path
        self.study = str(content.get("study"))
        self._sessions: dict[str, tuple[str, Opened]] = {}
        try:
            conditions = {str(n): dict(s) for n, s in content["conditions"].items()}
            for id_, row in content["sessions"].items():
                who = (str(id_), str(row["participant"]), int(row["position"]))
                found = Opened(*who, str(row["condition"]), conditions[row["condition"]])
                self._sessions[str(id_)] = (str(row["seal"]), found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError("the key is damaged", where=str(path), todo=f"take its copy ({error!r})") from error

    def sessions(self) -> list[str]:
        """Ids of all sessions."""
        return list(self._sessions)

    def open(self, study: str, session: str, seal_: str) -> Opened:
        """What a session ran.

        Raises:
            ConfigError: of another study, unknown, or its seal is not the one that this key made.
        """
        if study != self.study:
            what = f"this is the study {study or '(none)'}, the key opens {self.study}"
            raise ConfigError(what, where=str(self._path), todo="take the key of that study")
        if session not in self._sessions:
            raise ConfigError(f"the key has no session {session!r}", where=str(self._path))
        own_seal, found = self._sessions[session]
        if seal_ != own_seal:
            todo = "the recording, or the key, is another one or was changed"
            raise ConfigError(f"the seal of session {session} does not fit the key", where=str(self._path), todo=todo)
        return found


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
        what = f"the file is of format {content.get('format')!r}"
        raise ConfigError(what, where=str(path), todo="it was written by another version")
    return content


def sealed_bags(paths: Iterable[Path]) -> Iterator[Path]:
    """The bags among `paths` and below their folders, by name. Raises MediaError: a folder cannot be read."""
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
            return "it is not a recording of a blind session"
        return key.open(study.study, study.session_id, study.seal)
    except ReactdiffError as error:
        return str(error)
