"""The strict-online protocol finds whoever looks further ahead than it says, and nobody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from run_tools import own_listener

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.listeners import Spec, listen_to
from reactdiff_ros.evaluation.online import verify
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.policies.rules import RulesListener


@pytest.mark.parametrize("policy", ["rules", "mime", "random"])
def test_the_policies_are_strictly_online(policy: str) -> None:
    verdict = verify(make_listener(policy, seed=1), seconds=1.4, cuts=8, seed=1)
    assert verdict.holds
    assert (verdict.declared_s, verdict.first) == (0.0, None)
    assert verdict.acted > 0.8 or policy != "mime"


@pytest.mark.parametrize(("declared", "looks", "holds"), [("0.5", "0.5", True), ("0.3", "0.5", False)])
def test_a_look_ahead_is_held_to_what_is_declared(tmp_path: Path, declared: str, looks: str, holds: bool) -> None:
    listener = Spec(own_listener(tmp_path, declared=declared, looks=looks)).make(0)
    verdict = verify(listener, seconds=1.4, cuts=10, seed=3)
    assert verdict.holds is holds
    assert verdict.declared_s == float(declared)
    if not holds:
        assert verdict.first is not None
        assert 0.3 <= verdict.first.ahead_s <= 0.5
        assert f"looks further: frame {verdict.first.frame}" in verdict.sentence("own")


def test_a_listener_that_is_not_deterministic_is_told_so() -> None:
    class Moody(RulesListener):
        rng = np.random.default_rng()

        def plan(self, now_ns):
            made = super().plan(now_ns)
            if made is not None:
                made.coefficients[:] = np.clip(made.coefficients + 0.01 * self.rng.random(), 0, 0.5)
            return made

    verdict = verify(Moody(seed=0, config=ListenerConfig()), seconds=1.0, cuts=3)
    assert not verdict.deterministic
    assert not verdict.holds
    assert "not deterministic" in verdict.sentence("moody")


def test_the_command_passes_and_fails(tmp_path: Path, reactdiff) -> None:
    few = ["--cuts", 6, "--seconds", 1.2, "--json"]
    report, _ = reactdiff("evaluate", "online", "--listener", "rules", *few)
    assert (report["holds"], report["first_difference"]) == (True, None)
    assert report["plan_ms_p50"] > 0
    cheat = own_listener(tmp_path, declared="0.0", looks="0.4", name="cheat.py")
    report, error = reactdiff("evaluate", "online", "--listener", cheat, *few, code=1)
    assert report["holds"] is False
    assert report["first_difference"]["frame"] >= 0
    assert 0 < report["first_difference"]["ahead_s"] <= 0.4
    assert "looks further: frame" in error


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nobody", "unknown listener"),
        ("json:NoSuchClass", "there is no such listener"),
        ("json:JSONDecoder", "must take seed="),
        ("collections:Counter", "lacks name"),
        ("nowhere/own.py:Own", "reactdiff: the listener's file is missing"),
    ],
)
def test_a_listener_that_cannot_be_had_is_a_sentence(text: str, sentence: str, reactdiff) -> None:
    assert sentence in reactdiff("evaluate", "online", "--listener", text, "--cuts", 1, code=1)[1]


def speaker(frames: int) -> SpeakerBatch:
    nobody = blank(frames)
    return SpeakerBatch(**{name: getattr(nobody, name)[None] for name in nobody.__slots__})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("face = np.zeros((16, 57), np.float32)", "has shape"),
        ("face = np.full((16, 58), np.nan, np.float32)", "not numbers"),
        ("start = now_ns - 80_000_000; face = np.zeros((16, 58), np.float32)", "begins in the past"),
    ],
)
def test_plans_from_outside_are_checked(tmp_path: Path, change: str, sentence: str) -> None:
    path = Path(own_listener(tmp_path, declared="0.0", looks="0.0").rpartition(":")[0])
    path.write_text(path.read_text().replace("        return Reaction(", f"        {change}\n        return Reaction("))
    with pytest.raises(ReactdiffError, match=sentence):
        listen_to(Spec(f"{path}:Own"), speaker(20), [0])
