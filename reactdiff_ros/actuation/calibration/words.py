"""Which way is up: the directions of a joint in words, from what the profile's mapping does with it."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.actuation.mapping import Mapping
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT, LOWER, NAMES, UPPER

POSE: Final = {
    ("headPitch", 1): "the face looks down",
    ("headPitch", -1): "the face looks up",
    ("headYaw", 1): "the head turns to its own left",
    ("headYaw", -1): "the head turns to its own right",
    ("headRoll", 1): "the head tilts to its own right",
    ("headRoll", -1): "the head tilts to its own left",
    ("headX", 1): "the head goes to its own left",
    ("headX", -1): "the head goes to its own right",
    ("headY", 1): "the head goes up",
    ("headY", -1): "the head goes down",
    ("headZ", 1): "the head goes forward",
    ("headZ", -1): "the head goes back",
}
FACE: Final = {
    "eyeLookOutLeft": "the eye looks to its own left",
    "eyeLookInRight": "the eye looks to its own left",
    "eyeLookInLeft": "the eye looks to its own right",
    "eyeLookOutRight": "the eye looks to its own right",
    "eyeLookUp": "the eye looks up",
    "eyeLookDown": "the eye looks down",
    "eyeBlink": "the lid closes",
    "eyeWide": "the lid opens wide",
    "browInnerUp": "the brow rises",
    "browOuterUp": "the brow rises",
    "browDown": "the brow is lowered",
    "jawOpen": "the mouth opens",
    "mouthClose": "the mouth closes",
    "mouthSmile": "the mouth smiles",
    "mouthFrown": "the corners of the mouth go down",
    "mouthUpperUp": "the upper lip rises",
    "mouthLowerDown": "the lower lip goes down",
}
LEAST: Final = 0.02
"""A way of less than this share of the range shows nobody a direction."""


def directions(profile: Profile) -> dict[str, tuple[str, str]]:
    """For every joint: what is seen when it goes towards its lower, and towards its upper limit.

    The coefficient that moves it furthest that way names it; empty: none moves it that way.
    """
    mapping = Mapping(profile)
    signs = np.concatenate([np.ones(COEFFICIENT_COUNT), -np.ones(COEFFICIENT_COUNT - BLENDSHAPE_COUNT)])
    numbers = np.concatenate([np.arange(COEFFICIENT_COUNT), np.arange(BLENDSHAPE_COUNT, COEFFICIENT_COUNT)])
    frames = np.zeros((len(signs), COEFFICIENT_COUNT))
    frames[np.arange(len(signs)), numbers] = np.where(signs > 0, UPPER[numbers], LOWER[numbers])
    moved = mapping.wanted(frames) - np.array([j.neutral for j in profile.joints.values()])
    found = {}
    for i, (name, joint) in enumerate(profile.joints.items()):
        least = LEAST * (joint.upper - joint.lower)
        down, up = int(np.argmin(moved[:, i])), int(np.argmax(moved[:, i]))
        lower = _words(numbers[down], signs[down]) if moved[down, i] < -least else ""
        upper = _words(numbers[up], signs[up]) if moved[up, i] > least else ""
        found[name] = (lower, upper)
    return found


def _words(number: int, sign: float) -> str:
    name = NAMES[number]
    known = POSE.get((name, int(sign))) or FACE.get(name) or FACE.get(name.removesuffix("Left").removesuffix("Right"))
    return known or f"it moves as for {name}"
