"""Listeners as functions, strictly online: who they are, what they are told, and who looks further ahead."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, react
from run_tools import lab, own_listener

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.listeners import Spec, StreamListener, listen_to, natural_conditions
from reactdiff_ros.evaluation.online import verify
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.policies.rules import RulesListener
from reactdiff_ros.simulator.dyads import simulate


@pytest.mark.parametrize("name", ["simulator", "policy", "rules", "mime", "random", "idle"])
def test_every_listener_gives_streams_each_of_the_named_speaker(name: str) -> None:
    dyads, rows, seeds = simulate(5, 3, 60, prior="natural"), np.array([2, 0]), np.array([3, 4])
    listener = StreamListener(name)
    shows = listener.before(dyads.speaker, dyads.stimulus)
    shown = shows(natural_conditions(2), seeds, rows)
    assert shown.shape == (2, 60, COEFFICIENT_COUNT)
    assert np.isfinite(shown).all()
    some = listener.run(dyads.speaker.take(rows), natural_conditions(2), seeds, dyads.stimulus.take(rows))
    np.testing.assert_array_equal(shown, some)
    if name in ("simulator", "policy", "mime"):
        assert not np.array_equal(shown, shows(natural_conditions(2), seeds, np.array([0, 1])))


def test_the_listener_of_the_docs_is_strictly_online_and_stands_in_a_table(tmp_path: Path, reactdiff) -> None:
    pytest.importorskip("numba")
    page = Path(__file__).resolve().parents[3] / "docs" / "bring_your_own_listener.md"
    found = re.search(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "my_listener.py").write_text(found[1])
    data = react(tmp_path / "react", frames=101, sound=False, splits=("val",))
    lab(tmp_path / "lab", data, FACEVERSE_ORDER, chosen=(0, 2))
    arguments = ["--listener", f"{tmp_path / 'my_listener.py'}:SmileBack", "--streams", 1, "--cuts", 8, "--json"]
    report, _ = reactdiff("evaluate", "recordings", tmp_path / "lab", *arguments)
    own = report["systems"]["SmileBack"]
    assert (report["subject"], own["role"], own["causal"]) == ("SmileBack", "listener", True)
    assert report["systems"]["shuffled"]["role"] == "control"
    assert own["smile_coupling"] is not None
    assert own["frame_ms"] > 0


@pytest.mark.parametrize("policy", ["rules", "mime", "random"])
def test_the_policies_are_strictly_online(policy: str) -> None:
    verdict = verify(make_listener(policy, seed=1), seconds=1.4, cuts=8, seed=1)
    assert verdict.holds
    assert (verdict.declared_s, verdict.first) == (0.0, None)
    assert verdict.acted > 0.8 or policy != "mime"


def test_a_look_ahead_is_held_to_what_is_declared(tmp_path: Path) -> None:
    for declared, holds in (("0.5", True), ("0.3", False)):
        own = own_listener(tmp_path, declared=declared, looks="0.5", name=f"holds_{holds}.py")
        verdict = verify(Spec(own).make(0), seconds=1.4, cuts=10, seed=3)
        assert (verdict.holds, verdict.declared_s) == (holds, float(declared))
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
    cheat = own_listener(tmp_path, declared="0.0", looks="0.4")
    report, error = reactdiff("evaluate", "online", "--listener", cheat, *few, code=1)
    assert report["holds"] is False
    assert 0 < report["first_difference"]["ahead_s"] <= 0.4
    assert "looks further: frame" in error


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nobody", "unknown listener"),
        ("json:JSONDecoder", "must take seed="),
        ("collections:Counter", "lacks name"),
        ("nowhere/own.py:Own", "reactdiff: the listener's file is missing"),
    ],
)
def test_a_listener_that_cannot_be_had_is_a_sentence(text: str, sentence: str, reactdiff) -> None:
    assert sentence in reactdiff("evaluate", "online", "--listener", text, "--cuts", 1, code=1)[1]


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
    nobody = blank(20)
    speaker = SpeakerBatch(**{name: getattr(nobody, name)[None] for name in nobody.__slots__})
    with pytest.raises(ReactdiffError, match=sentence):
        listen_to(Spec(f"{path}:Own"), speaker, [0])
