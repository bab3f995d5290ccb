"""The whole session is causal: what is shown up to t does not depend on any picture or sound after t.

On painted pictures the model runs on random weights: causality is a matter of wiring, not of what was learnt. On clips
everything is what ships: perception with its networks and memories, weights and settings.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.evaluation.online import (
    PaintedPerception,
    end_ns,
    items_of,
    painted,
    session_of,
    show,
    spliced,
    verify,
)
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import Picture

CUTS = 200
SECONDS = 1.4
CLIP_SECONDS = 3.0
MS = 1_000_000


@pytest.fixture(scope="module")
def listener(any_weights: Path) -> DiffusionListener:
    config = ListenerConfig(model_dir=str(any_weights), steps=1, guidance=1.0, candidates=1)
    return DiffusionListener(seed=3, config=config)


@pytest.mark.timeout(900)  # two hundred sessions
@pytest.mark.parametrize("cuts", [40, pytest.param(CUTS, marks=pytest.mark.slow)])
def test_no_picture_and_no_sound_acts_before_it_was_captured(listener: DiffusionListener, cuts: int) -> None:
    """So many random t: everything after t is another person; every face up to t has the same bits."""
    whole = show(session_of(listener, PaintedPerception(), 3), painted(0, SECONDS), round(SECONDS * 1e9), 3)
    assert max(np.abs(np.diff([f.coefficients for f in whole], axis=0)).max(1)) > 0.01
    verdict = verify(listener, seconds=SECONDS, cuts=cuts, seed=3)
    assert verdict.cuts == cuts
    assert verdict.deterministic
    assert verdict.first is None
    assert verdict.holds
    assert verdict.acted > 0.8  # what comes after t does act, soon after t


@pytest.mark.clips
@pytest.mark.timeout(1800)  # fifteen sessions of what ships: ten seconds of an idle processor
@pytest.mark.parametrize("cuts", [10, pytest.param(CUTS, marks=pytest.mark.slow)])
def test_what_ships_is_causal_on_clips_of_people(
    clips: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, cuts: int
) -> None:
    """So many random t: after t somebody else is seen and heard; every face up to t has the same bits."""
    mine, other = (items_of(clips(n), CLIP_SECONDS) for n in ("real3dportrait_may_5s.mp4", "mimictalk_german_20s.mp4"))
    shipped, perception = DiffusionListener(seed=3, config=ListenerConfig()), SpeakerPerception()
    whole = show(session_of(shipped, perception, 3), mine, round(CLIP_SECONDS * 1e9), 3)
    late = whole[len(whole) // 2 :]
    assert all(f.mode == "listening" and f.reaction_picture_stamp_ns and f.reaction_sound_stamp_ns for f in late)
    given = {"mine": mine, "other": other, "perception": perception, "seconds": CLIP_SECONDS, "seed": 3}
    verdict = verify(shipped, cuts=cuts, **given)
    assert verdict.deterministic
    assert verdict.first is None
    assert verdict.holds
    assert verdict.acted > 0.8
    look_ahead(monkeypatch)
    assert not verify(shipped, cuts=2, **given).holds


def look_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every session sees pictures 80 ms early from now on."""
    push = ListeningSession.push_picture

    def early(self: ListeningSession, picture: Picture) -> None:
        push(self, Picture(max(picture.stamp_ns - 80 * MS, 0), picture.bgr))

    monkeypatch.setattr(ListeningSession, "push_picture", early)


def test_a_session_that_looks_ahead_is_found_out(listener: DiffusionListener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test would notice one picture that acts 40 ms early."""
    look_ahead(monkeypatch)
    verdict = verify(listener, seconds=SECONDS, cuts=10, seed=3)
    assert not verdict.holds
    assert verdict.first is not None
    assert 0 <= verdict.first.ahead_s <= 0.08


def test_splicing_replaces_what_ends_after_the_cut() -> None:
    mine, other = painted(0, 0.2), painted(1, 0.2)
    spliced_items = spliced(mine, other, 100 * MS)
    assert len(spliced_items) == len(mine)
    for item in spliced_items:
        assert any(item is own for own in mine) == (end_ns(item) <= 100 * MS)
