"""Conversations for the tests of turns: who speaks when, as frames of the person and states of the robot's speech."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.turns.config import TurnsConfig
from reactdiff_ros.turns.readout import read_readout
from reactdiff_ros.turns.tracker import Step, TurnTracker
from reactdiff_ros.types import Gaze, SpeakerFrame, SpeechState, TurnEvent, Voice

START_NS = 1000 * NS
FRAME_S = 0.04
Spans = Sequence[tuple[float, float]]
READOUT = read_readout()


def ns(seconds: float) -> int:
    return START_NS + round(seconds * NS)


def voice(spans: Spans, t: float, **changes: float) -> Voice:
    """As perception hears it: an utterance is noticed 0.1 s after it began, its end after 0.2 s."""
    current = [(b, e) for b, e in spans if b + 0.1 <= t < e + 0.2]
    ended = [e for _, e in spans if e + 0.2 <= t]
    sounds = bool(current) and t <= current[-1][1]
    values = {
        "speech_probability": 0.95 if sounds else 0.02, "pitch_hz": 120.0 if sounds else 0.0,
        "loudness_dbfs": -25.0 if sounds else -60.0,
        "pause_s": 0.0 if current else t - ended[-1] if ended else math.nan,
        "utterance_s": t - current[-1][0] if current else 0.0,
    } | changes  # fmt: skip
    return Voice(speaking=bool(current), mfcc=np.zeros(26, np.float32), **values)


def frame(t: float, heard: Voice | None, *, face: bool = False, contact: float = 0.8, jaw: float = 0.0) -> SpeakerFrame:
    values = np.zeros(COEFFICIENT_COUNT, np.float32)
    values[24] = jaw
    return SpeakerFrame(
        stamp_ns=ns(t), picture_stamp_ns=ns(t) if face else None, sound_stamp_ns=None if heard is None else ns(t),
        person_id=1 if face else -1, face_present=face, mesh_present=face, coefficients=values,
        confidence=np.full(COEFFICIENT_COUNT, 0.9 if face else 0.0, np.float32), neutral_confidence=1.0,
        gaze=Gaze(0.0, 0.0, contact) if face else None, position_m=None, affect=None, voice=heard,
    )  # fmt: skip


def state(t: float, robot: Spans) -> SpeechState:
    for number, (begin, end) in enumerate(robot):
        if begin <= t < end:
            return SpeechState(ns(t), "speaking", f"u{number}", "", ns(begin), None)
    return SpeechState(ns(t), "idle")


def converse(
    user: Spans, robot: Spans = (), seconds: float = 8.0, *, config: TurnsConfig | None = None, face: bool = False,
    tracker: TurnTracker | None = None, clean: bool = False,
) -> tuple[list[Step], list[TurnEvent]]:  # fmt: skip
    """The steps and events of a conversation, each tick after the frames before it."""
    tracker = tracker or TurnTracker(READOUT, config)
    steps: list[Step] = []
    for k in range(round(seconds / FRAME_S)):
        t = k * FRAME_S
        tracker.push_frame(frame(t, replace(voice(user, t), clean=clean), face=face))
        tracker.push_speech(state(t, robot))
        steps += tracker.advance(ns(t + 0.01))
    return steps, [event for step in steps for event in step.events]


def kinds(events: Sequence[TurnEvent]) -> list[str]:
    return [event.kind for event in events]
