"""From the floor and the cues at a time to the columns that the read-out weighs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.turns.floor import Floor
from reactdiff_ros.types import Array

PAUSES_S: Final = (0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Knots of what silence says by its length."""
PAUSE: Final = (
    *(f"silence_over_{knot:g}_s" for knot in PAUSES_S), "utterance", "short_utterance", "turn", "short_turn",
    "pauses", "own_pause", "silence_of_own_pause", "share", "silence_by_utterance", "silence_by_own_pause",
)  # fmt: skip
"""What the timing of a person who pauses in their turn says."""
STATES: Final = ("no_one_spoke", "user", "robot", "both", "user_paused", "robot_paused")
MEASURES: Final = (
    "one", "silence", "short_silence", "utterance", "robot_silence", "short_robot_silence", "robot_utterance",
    "share", "turn", "own_pause", "utterance_to_0.5_s", "utterance_to_1.2_s",
)  # fmt: skip
SITUATION: Final = tuple(f"{state}:{measure}" for state in STATES for measure in MEASURES)
"""What timing says in general: the same measures in each state of the floor."""


@dataclass(frozen=True, slots=True)
class Features:
    """All that is known at one time; None: not observed."""

    situation: Array
    """(len(SITUATION),)"""
    pause: Array | None
    """(len(PAUSE),) while the person is silent in a turn of theirs."""
    voice: Array | None
    """(len(cues.PROSODY),) of the end of their last speech."""
    face: Array | None
    """(len(cues.FACE),)"""
    network: Array | None
    """(1,) log odds of smart-turn that this pause ends the turn."""


def pause_columns(floor: Floor, now_ns: int) -> Array:
    """(len(PAUSE),) of a person who is silent."""
    silence_s = _known(floor.user.silence_s(now_ns), 10.0)
    spoken_s, turn_s = floor.user.utterance_s(now_ns), floor.floor_talk_s(now_ns)
    over = [max(silence_s - knot, 0.0) for knot in PAUSES_S]
    own_s = floor.pause_mean_s
    long = min(silence_s, 3.0)
    return np.array([
        *over, math.log1p(spoken_s), min(spoken_s, 0.8), math.log1p(turn_s), min(turn_s, 1.5),
        math.log1p(floor.pauses), math.log(own_s + 0.1), min(long / (own_s + 0.1), 5.0), floor.share(now_ns),
        long * math.log1p(spoken_s), long * math.log(own_s + 0.1),
    ])  # fmt: skip


def situation_columns(floor: Floor, now_ns: int) -> Array:
    """(len(SITUATION),): zeros but for the present state."""
    user, robot = floor.user, floor.robot
    silence_s, robot_silence_s = (_known(side.silence_s(now_ns), 10.0) for side in (user, robot))
    spoken_s = user.utterance_s(now_ns)
    row = (
        1.0, math.log1p(silence_s), min(silence_s, 0.6), math.log1p(spoken_s), math.log1p(robot_silence_s),
        min(robot_silence_s, 0.6), math.log1p(robot.utterance_s(now_ns)), floor.share(now_ns),
        math.log1p(floor.floor_talk_s(now_ns)), math.log(floor.pause_mean_s + 0.1),
        min(spoken_s, 0.5), min(max(spoken_s - 0.5, 0.0), 0.7),
    )  # fmt: skip
    out = np.zeros((len(STATES), len(MEASURES)))
    out[STATES.index(state_of(floor))] = row
    return out.ravel()


def state_of(floor: Floor) -> str:
    """One of STATES."""
    if floor.user.speaking:
        return "both" if floor.robot.speaking else "user"
    if floor.robot.speaking:
        return "robot"
    return {"none": "no_one_spoke", "user": "user_paused", "robot": "robot_paused"}[floor.holder]


def log_odds(probability: float) -> float:
    """Of a probability, within +-6."""
    p = min(max(probability, 1e-9), 1.0 - 1e-9)
    return min(max(math.log(p / (1.0 - p)), -6.0), 6.0)


def _known(seconds: float, longest: float) -> float:
    return longest if math.isnan(seconds) else min(seconds, longest)
