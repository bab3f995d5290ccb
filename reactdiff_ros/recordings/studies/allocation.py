"""Which participant meets which condition, and when: balanced, and made by a seed alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import yaml

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.condition import Setting
from reactdiff_ros.plain_yaml import parse_yaml

_SETTING: Final = (bool, int, float, str)
DESIGNS: Final = ("within", "between")
MOST_CONDITIONS: Final = 12
MOST_PARTICIPANTS: Final = 10_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_KEYS: Final = ("name", "design", "participants", "conditions", "seed")


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a study compares, and with whom."""

    name: str
    design: str
    """within: everybody meets every condition; between: everybody meets one."""
    participants: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Setting]]
    """Name -> settings of the listener."""
    seed: int | None = None
    """Of the allocation; None: whoever seals the study draws one."""


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
        told = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError("the study is not YAML", where=where, todo=" ".join(str(error).split())) from error
    if not isinstance(told, dict):
        raise _wrong(where, "it has no keys", f"give {', '.join(_KEYS)}")
    unknown = [str(key) for key in told if key not in _KEYS]
    if unknown:
        raise _wrong(where, f"it has an unknown key {unknown[0]!r}", f"use {', '.join(_KEYS)}")
    name = told.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong(where, "its name is missing or no name", "give name: letters, digits, '_', '-', '.'")
    if told.get("design") not in DESIGNS:
        raise _wrong(where, f"its design is {told.get('design')!r}", f"give design: {' or '.join(DESIGNS)}")
    seed = told.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63):
        raise _wrong(where, f"its seed is {seed!r}", "give a whole number of 0 and more, or leave it out")
    participants = _participants(told.get("participants"), where)
    return StudyPlan(name, told["design"], participants, _conditions(told.get("conditions"), where), seed)


def sessions_of(plan: StudyPlan, seed: int) -> list[Session]:
    """All sessions, participant by participant in their order; the same seed gives the same ones.

    within: rows of Williams squares, in which every condition stands equally often at every place and follows every
    other equally often; each whole square is dealt in an order of its own. between: blocks in which every condition
    comes once or twice, of random length, so that nobody can tell the last ones.
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
    """One sentence on what is not balanced; empty: all is."""
    if plan.design == "between":
        found = Counter(s.condition for s in sessions)
        counts = [found[name] for name in plan.conditions]
        return "" if len(set(counts)) == 1 else f"groups differ in size: {min(counts)} to {max(counts)} participants"
    whole = len(williams(len(plan.conditions)))
    left = len(plan.participants) % whole
    if not left:
        return ""
    return f"orders are balanced in every {whole} participants: the last {left} are not a whole square"


def _participants(told: Any, where: str) -> tuple[str, ...]:
    if isinstance(told, int) and not isinstance(told, bool) and 1 <= told <= MOST_PARTICIPANTS:
        width = max(2, len(str(told)))
        return tuple(f"p{i + 1:0{width}}" for i in range(told))
    if isinstance(told, list) and 1 <= len(told) <= MOST_PARTICIPANTS:
        names = tuple(str(one) for one in told)
        if all(_NAME.fullmatch(one) for one in names) and len(set(names)) == len(names):
            return names
    raise _wrong(where, "its participants are missing", "give participants: a number, or a list of different names")


def _conditions(told: Any, where: str) -> dict[str, dict[str, Setting]]:
    if not isinstance(told, dict) or not 2 <= len(told) <= MOST_CONDITIONS:
        raise _wrong(where, "it has no conditions to compare", f"give conditions: 2 to {MOST_CONDITIONS} of them")
    conditions: dict[str, dict[str, Setting]] = {}
    for name, settings in told.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _wrong(where, f"the condition {name!r} has no name", "use letters, digits, '_', '-', '.'")
        if not isinstance(settings, dict) or not all(isinstance(v, _SETTING) for v in settings.values()):
            raise _wrong(where, f"the condition {name} has no settings", "give it some, such as {policy: rules}")
        conditions[name] = {str(key): value for key, value in settings.items()}
    return conditions


def _wrong(where: str, what: str, todo: str) -> ConfigError:
    return ConfigError(f"the study cannot be used, {what}", where=where, todo=todo)
