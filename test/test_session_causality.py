"""The whole session is causal: what is shown up to t does not depend on any picture or sound after t.

The model runs on random weights: causality is a matter of wiring, not of what was learnt.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import INDEX, SMILE
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import Affect, ExpressionFrame, Gaze, Picture, Sound, SpeakerFrame, Voice

CUTS = 200
SECONDS = 1.4
MS = 1_000_000
RATE = 16_000
TICK = 20 * MS


class SmoothingPerception:
    """Reads a face from 58 painted pixels and a voice from the sound, each smoothed over time; keeps a neutral face."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._face = np.zeros(58)
        self._neutral = np.zeros(58)
        self._level = 0.0
        self._sound_ns: int | None = None

    def observe_picture(self, picture: Picture) -> SpeakerFrame:
        seen = picture.bgr[0, :58, 0] / 255.0
        self._face += 0.5 * (seen - self._face)
        self._neutral += 0.02 * (seen - self._neutral)
        values = np.clip(self._face - 0.3 * self._neutral, 0, 1).astype(np.float32)
        values[52:] = 0.2 * (self._face[52:] - 0.5)
        there = bool(picture.bgr[0, 58, 0])
        return SpeakerFrame(
            stamp_ns=picture.stamp_ns, picture_stamp_ns=picture.stamp_ns, sound_stamp_ns=self._sound_ns,
            person_id=1 if there else -1, face_present=there, mesh_present=there, coefficients=values,
            confidence=np.full(58, 0.9 * there, np.float32), neutral_confidence=0.5,
            gaze=Gaze(float(values[53]), 0.0, 0.8), position_m=np.array([values[53], 0, 1], np.float32),
            affect=Affect("happy", np.full(7, 1 / 7, np.float32), float(values[SMILE[0]]), 0.0), voice=self._voice(),
        )  # fmt: skip

    def observe_sound(self, sound: Sound) -> list[SpeakerFrame]:
        self._level += 0.3 * (float(np.abs(sound.samples).mean()) / 4000 - self._level)
        self._sound_ns = sound.end_ns
        return []

    def _voice(self) -> Voice:
        speaking = self._level > 0.5
        mfcc = np.full(26, self._level, np.float32)
        return Voice(min(self._level, 1.0), speaking, mfcc, 120.0 * speaking, 20 * self._level - 40, 0.0, 0.0)


def material(seed: int) -> list[Picture | Sound]:
    """Pictures at 25 Hz and 20 ms of sound each: a face that changes all the time, and now and then is gone."""
    rng = np.random.default_rng(seed)
    items: list[Picture | Sound] = []
    face = rng.uniform(0, 1, 58)
    for i in range(round(SECONDS * 50)):
        items.append(Sound(i * TICK, RATE, rng.integers(-8000, 8000, (320, 1)).astype(np.int16) * (i // 15 % 2)))
        if i % 2 == 0:
            if rng.random() < 0.1:
                face = rng.uniform(0, 1, 58)
            pixels = np.zeros((1, 59, 3), np.uint8)
            pixels[0, :58, 0] = 255 * np.clip(face + 0.05 * rng.standard_normal(58), 0, 1)
            pixels[0, 58, 0] = i < 10 or rng.random() < 0.95
            items.append(Picture(i * TICK, pixels))
    return items


def end_ns(item: Picture | Sound) -> int:
    """When the last of it was captured."""
    return item.stamp_ns if isinstance(item, Picture) else item.end_ns


def run(session: ListeningSession, items: list[Picture | Sound], to_ns: int) -> list[ExpressionFrame]:
    """All inputs are waiting before the first frame is asked for."""
    session.reset(3)
    for item in items:
        if isinstance(item, Picture):
            session.push_picture(item)
        else:
            session.push_sound(item)
    return session.advance(to_ns)


@pytest.fixture(scope="module")
def session(any_weights: Path) -> ListeningSession:
    config = ListenerConfig(model_dir=str(any_weights), steps=1, guidance=1.0, candidates=1)
    listener = DiffusionListener(seed=3, config=config)
    return ListeningSession(SmoothingPerception(), listener, ExpressionEngine(seed=3))


@pytest.mark.timeout(900)  # two hundred sessions
def test_no_picture_and_no_sound_acts_before_it_was_captured(session: ListeningSession) -> None:
    """200 random t: everything after t is another person; every face up to t has the same bits."""
    mine, other = material(0), material(1)
    whole = run(session, mine, round(SECONDS * 1e9))
    assert max(np.abs(np.diff([f.coefficients for f in whole], axis=0)).max(1)) > 0.01
    rng = np.random.default_rng(2)
    acted = 0
    for t in rng.integers(0, round(SECONDS * 1e9), CUTS):
        before = [item for item in mine if end_ns(item) <= t]
        after = [item for item in other if end_ns(item) > t]
        faces = run(session, [*before, *after], int(t) + 200 * MS)
        count = sum(f.stamp_ns <= t for f in faces)
        assert count >= t // TICK
        for a, b in zip(faces[:count], whole, strict=False):
            assert a.stamp_ns == b.stamp_ns
            np.testing.assert_array_equal(a.coefficients, b.coefficients)
        acted += any(
            not np.array_equal(a.coefficients, b.coefficients)
            for a, b in zip(faces[count:], whole[count:], strict=False)
        )
    assert acted > 0.8 * CUTS  # what comes after t does act, soon after t


def test_a_session_that_looks_ahead_is_found_out(session: ListeningSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test would notice one picture that acts 40 ms early."""
    mine, other = material(0), material(1)
    push = ListeningSession.push_picture

    def early(self: ListeningSession, picture: Picture) -> None:
        push(self, Picture(max(picture.stamp_ns - 80 * MS, 0), picture.bgr))

    monkeypatch.setattr(ListeningSession, "push_picture", early)
    whole = run(session, mine, 10**9)
    t = 6 * 10**8
    faces = run(session, [m for m in mine if end_ns(m) <= t] + [m for m in other if end_ns(m) > t], t)
    assert any(not np.array_equal(a.coefficients, b.coefficients) for a, b in zip(faces, whole, strict=False))


def test_the_reader_of_pictures_reads_a_smile() -> None:
    pixels = np.zeros((1, 59, 3), np.uint8)
    pixels[0, [*SMILE, 58], 0] = 255
    frame = SmoothingPerception().observe_picture(Picture(0, pixels))
    assert frame.coefficients[INDEX["mouthSmileLeft"]] > 0.4
