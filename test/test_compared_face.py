"""A face that is compared with the first one: set up, shown, and ended when no page shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from deadline import until

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.launching import compared_face
from reactdiff_ros.launching.compared_face import ComparedFace
from reactdiff_ros.types import ExpressionFrame, SpeakerFrame


class Comparison:
    """A compared face, what it showed, and what failed."""

    def __init__(self) -> None:
        self.shown: list[ExpressionFrame] = []
        self.failures: list[Exception] = []
        self.face = ComparedFace(self.shown.append, lambda error, where: self.failures.append(error), lambda: 5)

    def until(self, condition: Callable[[], object]) -> None:
        """Smile at it until the condition holds."""
        values = np.zeros(58, np.float32)
        values[list(SMILE)] = 0.9
        sure = np.ones(58, np.float32)

        def smiled_at() -> object:
            now_ns = time.time_ns()
            self.face.observe(SpeakerFrame(now_ns, now_ns, None, 0, True, True, values, sure, 1.0, *[None] * 4))
            return condition()

        until(smiled_at, "the comparison shows something else")

    def smile(self) -> float:
        return float(self.shown[-1].coefficients[list(SMILE)].mean()) if self.shown else 0.1


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
    comparison.until(lambda: comparison.smile() > 0.3)
    face.choose("idle")
    comparison.until(lambda: comparison.smile() < 0.05)
    face.keep(wanted=False)
    assert face.name == "idle", "a page that is loaded again shows it in a moment"
    monkeypatch.setattr(compared_face, "KEPT_S", 0.0)
    face.keep(wanted=True)
    face.keep(wanted=False)
    assert face.name == ""
    assert not comparison.failures


def test_a_style_that_is_unknown_is_reported_and_compared_with_nothing(comparison: Comparison) -> None:
    comparison.face.choose("no such style")
    comparison.until(lambda: comparison.failures)
    assert "no such style" in str(comparison.failures[0])
    assert comparison.face.name == ""
