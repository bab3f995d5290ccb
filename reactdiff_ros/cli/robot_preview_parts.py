"""What of a simple picture each joint of a profile moves, and by how much: found from its names and its mapping.

A *part* of the picture has one number: lids from 0 (open) to 1 (closed), brows, corners of the mouth and antennas from
-1 (down) to 1 (up), gaze from -1 to 1 (up; to the robot's own left), jaw and lips from 0 to 1, the head's rotations in
rad and translations in m (ARKit's axes, see coefficients.py). Names say which part a joint moves; where they do not,
the coefficient that moves it most does. The mapping says which way: a joint moves its part as the face would be moved
by the coefficients that move the joint so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from reactdiff_ros.actuation.mapping import Mapping as JointMapping
from reactdiff_ros.actuation.profile import Joint, Profile
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, NAMES, POSE_NAMES, UPPER

Parts = list[tuple[str, float]]
"""(part, how much of it a unit of the joint is)."""
Answers = Callable[[str], float]
"""How far the joint goes, in its unit, when a coefficient (or both sides of one) is at its most."""

SIDES: Final = ("Left", "Right")
_WORDS: Final = {
    "lid": ("lid", "lids", "eyelid", "eyelids", "blink"),
    "brow": ("brow", "brows", "eyebrow", "eyebrows"),
    "antenna": ("antenna", "antennas", "antennae", "ear", "ears"),
    "eye": ("eye", "eyes", "gaze", "pupil", "pupils"),
    "mouth": ("jaw", "mouth", "lip", "lips", "corner", "corners"),
    "cheek": ("cheek", "cheeks"),
    "head": ("neck", "head", "body"),
}
_STEMS: Final = (
    ("lid", ("eyeBlink", "eyeWide", "eyeSquint")),
    ("brow", ("browDown", "browInnerUp", "browOuterUp")),
    ("eye", ("eyeLook",)),
    ("mouth", ("jawOpen", "mouth")),
    ("cheek", ("cheek",)),
    ("head", POSE_NAMES),
)
_TRANSLATIONS: Final = {"headX": "x", "headY": "y", "headZ": "z"}
_ROTATIONS: Final = {"headPitch": "pitch", "headYaw": "yaw", "headRoll": "roll"}


def effects(profile: Profile) -> dict[str, dict[str, float]]:
    """How far every coefficient at its most (1, 0.6 rad, 0.15 m) moves each joint, in its unit; zeros are left out."""
    mapping = JointMapping(profile)
    rest = mapping.wanted(np.zeros(COEFFICIENT_COUNT))
    moved = mapping.wanted(np.diag(UPPER.astype(np.float64))) - rest
    return {
        name: {c: float(moved[i, j]) for i, c in enumerate(NAMES) if abs(moved[i, j]) > 1e-12}
        for j, name in enumerate(profile.joints)
    }


def share(joint: Joint, displacement: float) -> float:
    """A displacement from neutral as a share of the way to the limit on that side; its sign is kept."""
    way = joint.upper - joint.neutral if displacement > 0.0 else joint.neutral - joint.lower
    way = way or joint.upper - joint.lower
    return displacement / way


def parts_of(profile: Profile) -> dict[str, Parts]:
    """The parts that each joint moves; none where the picture has nothing for it."""
    mapping = JointMapping(profile)
    rest = mapping.wanted(np.zeros(COEFFICIENT_COUNT))
    found: dict[str, Parts] = {}
    for i, (name, joint) in enumerate(profile.joints.items()):

        def answers(stem: str, column: int = i) -> float:
            frame = np.zeros(COEFFICIENT_COUNT)
            for coefficient in _coefficients(stem):
                frame[INDEX[coefficient]] = UPPER[INDEX[coefficient]]
            return float(mapping.wanted(frame)[column] - rest[column])

        found[name] = _parts(name, joint, answers)
    return found


def _coefficients(stem: str) -> tuple[str, ...]:
    if stem == "gazeLeft":
        return ("eyeLookOutLeft", "eyeLookInRight")
    if stem == "gazeRight":
        return ("eyeLookInLeft", "eyeLookOutRight")
    return (stem,) if stem in INDEX else tuple(stem + side for side in SIDES)


def _parts(name: str, joint: Joint, answers: Answers) -> Parts:
    words = [*re.split(r"[^a-z]+", name.lower()), *re.split(r"[^a-z]+", joint.group.lower())]
    kind = next((k for k, known in _WORDS.items() if any(w in known for w in words)), None) or _strongest(answers)
    sides = _sides(words, answers)
    make = _MAKERS.get(kind or "")
    return [] if make is None else [p for p in make(words, sides, joint, answers) if math.isfinite(p[1]) and p[1]]


def _strongest(answers: Answers) -> str | None:
    best, kind = 0.0, None
    for name in NAMES:
        strength = abs(answers(name))
        if strength > best:
            best, kind = strength, next((k for k, stems in _STEMS if name.startswith(tuple(stems))), None)
    return kind


def _sides(words: list[str], answers: Answers) -> tuple[str, ...]:
    named = [side for side in SIDES if side.lower() in words or side[0].lower() in words]
    if len(named) == 1:
        return (named[0],)
    sums = [sum(abs(answers(n)) for n in NAMES if n.endswith(side)) for side in SIDES]
    if min(sums) == 0.0 < max(sums):
        return (SIDES[sums.index(max(sums))],)
    return SIDES


def _gain(*moves: float) -> float:
    """The gain by which the largest of these displacements, each for an amount of 1, is an amount of 1."""
    best = max(moves, key=abs, default=0.0)
    return 1.0 / best if best else 0.0


def _each(part: str, sides: tuple[str, ...], gain: float) -> Parts:
    return [(part + side, gain) for side in sides]


def _lid(_words: list[str], sides: tuple[str, ...], _joint: Joint, answers: Answers) -> Parts:
    blink, wide, squint = (answers(stem) for stem in ("eyeBlink", "eyeWide", "eyeSquint"))
    if blink:
        return _each("lid", sides, 1.0 / blink)
    if squint:
        return _each("squint", sides, 1.0 / squint)
    return _each("lid", sides, -0.3 / wide) if wide else []


def _brow(words: list[str], sides: tuple[str, ...], _joint: Joint, answers: Answers) -> Parts:
    inner, outer, down = answers("browInnerUp"), answers("browOuterUp"), answers("browDown")
    gain = _gain(inner, outer, -down)
    ends: tuple[str, ...] = ("browInner", "browOuter")
    if "inner" in words or not (outer or down):
        ends = ("browInner",)
        gain = _gain(inner, -down)
    elif "outer" in words or not (inner or down):
        ends = ("browOuter",)
        gain = _gain(outer, -down)
    return [pair for end in ends for pair in _each(end, sides, gain)]


def _eye(_words: list[str], sides: tuple[str, ...], _joint: Joint, answers: Answers) -> Parts:
    across = (answers("gazeLeft"), -answers("gazeRight"))
    along = (answers("eyeLookUp"), -answers("eyeLookDown"))
    if max(map(abs, across)) >= max(map(abs, along)):
        return _each("gazeX", sides, _gain(*across))
    return _each("gazeY", sides, _gain(*along))


def _mouth(words: list[str], sides: tuple[str, ...], _joint: Joint, answers: Answers) -> Parts:
    jaw, low, up = answers("jawOpen"), answers("mouthLowerDown"), answers("mouthUpperUp")
    if {"upper", "top"} & set(words) and up:
        return [("upperLip", 1.0 / up)]
    if {"lower", "bottom"} & set(words) and (low or jaw):
        return [("lowerLip", _gain(low, jaw))]
    if "jaw" in words and jaw:
        return [("jaw", 1.0 / jaw)]
    candidates: dict[str, tuple[float, ...]] = {
        "jaw": (jaw, -answers("mouthClose")),
        "corner": (answers("mouthSmile"), -answers("mouthFrown")),
        "stretch": (answers("mouthStretch"), -answers("mouthPucker")),
        "upperLip": (up,),
        "lowerLip": (low,),
        "round": (answers("mouthFunnel"), answers("mouthPucker")),
        "mouthX": (answers("mouthLeft"), -answers("mouthRight")),
    }
    part = max(candidates, key=lambda p: max(map(abs, candidates[p])))
    gain = _gain(*candidates[part])
    return _each(part, sides, gain) if part in ("corner", "stretch") else [(part, gain)]


def _cheek(_words: list[str], sides: tuple[str, ...], _joint: Joint, answers: Answers) -> Parts:
    return _each("cheek", sides, _gain(answers("cheekPuff"), answers("cheekSquint")))


def _antenna(_words: list[str], sides: tuple[str, ...], joint: Joint, answers: Answers) -> Parts:
    raised = _gain(answers("mouthSmile"), answers("browInnerUp"), -answers("mouthFrown"), answers("headPitch"))
    return _each("antenna", sides, math.copysign(2.0 / (joint.upper - joint.lower), raised)) if raised else []


def _head(_words: list[str], _sides: tuple[str, ...], joint: Joint, answers: Answers) -> Parts:
    turns = {part: answers(name) for name, part in _ROTATIONS.items()}
    shifts = {part: answers(name) for name, part in _TRANSLATIONS.items()}
    for found, metric, most in ((turns, {"rad": 1.0, "deg": math.pi / 180}, 0.6), (shifts, {"m": 1.0}, 0.15)):
        part = max(found, key=lambda p: abs(found[p]))
        if found[part]:
            scale = metric.get(joint.unit)
            return [(part, math.copysign(scale, found[part]) if scale else most / found[part])]
    return []


_MAKERS: Final[Mapping[str, Callable[[list[str], tuple[str, ...], Joint, Answers], Parts]]] = {
    "lid": _lid,
    "brow": _brow,
    "antenna": _antenna,
    "eye": _eye,
    "mouth": _mouth,
    "cheek": _cheek,
    "head": _head,
}
