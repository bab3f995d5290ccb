"""A face that is compared with the first one: set up, shown, and ended when no page shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.launching import compared_face
from reactdiff_ros.launching.compared_face import NOTHING, ComparedFace
from reactdiff_ros.types import ExpressionFrame, SpeakerFrame


def speaker(now_ns: int, values: np.ndarray) -> SpeakerFrame:
    return SpeakerFrame(now_ns, now_ns, None, 0, True, True, values, np.ones(58, np.float32), 1.0, *[None] * 4)


class Comparison:
    """A compared face, what it showed, and what failed."""

    def __init__(self) -> None:
        self.shown: list[ExpressionFrame] = []
        self.failures: list[Exception] = []
        self.face = ComparedFace(self.shown.append, lambda error, where: self.failures.append(error), lambda: 5)

    def until(self, condition: Any) -> None:
        """Smile at it until the condition holds."""
        end = time.monotonic() + 30.0
        values = np.zeros(58, np.float32)
        values[list(SMILE)] = 0.9
        while not condition():
            assert time.monotonic() < end, (len(self.shown), self.failures)
            now_ns = time.time_ns()
            self.face.observe(speaker(now_ns, values))
            threading.Event().wait(0.04)


@pytest.fixture
def comparison() -> Iterator[Comparison]:
    one = Comparison()
    yield one
    one.face.stop()


def test_it_answers_until_no_page_shows_it(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    face = comparison.face
    face.keep(wanted=True)
    assert face.name == ""
    face.choose("mime")
    comparison.until(lambda: comparison.shown and comparison.shown[-1].coefficients[list(SMILE)].mean() > 0.3)
    face.choose("idle")
    comparison.until(lambda: comparison.shown[-1].coefficients[list(SMILE)].mean() < 0.05)
    face.keep(wanted=False)
    assert face.name == "idle", "a page that is loaded again shows it in a moment"
    monkeypatch.setattr(compared_face, "KEPT_S", 0.0)
    face.keep(wanted=True)
    face.keep(wanted=False)
    assert face.name == ""
    comparison.until(lambda: face._face is None)
    assert not comparison.failures


def test_a_style_that_is_unknown_is_reported_and_compared_with_nothing(comparison: Comparison) -> None:
    comparison.face.choose("no such style")
    comparison.until(lambda: comparison.failures)
    assert "no such style" in str(comparison.failures[0])
    assert comparison.face.name == ""
    comparison.face.choose(NOTHING)
    assert comparison.face.name == ""
