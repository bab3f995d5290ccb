"""What networks are told when listeners are asked for something."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.model.conditions import CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER
from reactdiff_ros.model.plan.prompt import COOLER, SHOWN_CONTROL, SMILING_MORE, told_to_networks


def asked(**controls: float) -> dict[str, float]:
    """What networks are told, by name, when listeners are asked for these, and for 0 else."""
    row = np.array([[controls.get(name, 0.0) for name in CONTROL_NAMES]], dtype=np.float32)
    return dict(zip(CONTROL_NAMES, told_to_networks(row)[0].tolist(), strict=True))


def test_what_is_not_made_up_for_is_told_as_asked() -> None:
    told = asked(attitude=-0.5, nodding=0.5, liveliness=-1.0)
    assert (told["attitude"], told["nodding"], told["liveliness"]) == (-0.5, 0.5, -1.0)


def test_the_least_responsive_are_told_less_and_others_what_is_asked() -> None:
    assert asked()["responsiveness"] == pytest.approx(-COOLER)
    for value in (0.2, 0.35, 1.0):
        assert asked(responsiveness=value)["responsiveness"] == pytest.approx(value)


def test_the_delay_acts_elsewhere() -> None:
    assert asked(**{SHOWN_CONTROL: 0.7})[SHOWN_CONTROL] == 0.0


@pytest.mark.parametrize("name", [name for name in CONTROL_NAMES if name != SHOWN_CONTROL])
def test_more_that_is_asked_is_more_that_is_told(name: str) -> None:
    at = CONTROL_NAMES.index(name)
    told = [asked(**{name: v})[name] for v in np.linspace(CONTROL_LOWER[at], CONTROL_UPPER[at], 41)]
    assert (np.diff(told) > 0).all()


def test_what_was_asked_stays_as_it_was() -> None:
    controls = np.ones((3, len(CONTROL_NAMES)), dtype=np.float32)
    told = told_to_networks(controls)
    assert (controls == 1).all()
    assert told.dtype == np.float32
    assert asked()["smiling"] == pytest.approx(SMILING_MORE)
