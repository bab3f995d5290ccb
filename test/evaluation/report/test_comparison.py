from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.report.tables import chosen, compare
from reactdiff_ros.evaluation.results import Figure, Info, Item, Result, System

N = 24


def run(shift: float = 0.0, *, prefix: str = "i", seed: int = 0, name: str = "model", **info: object) -> Result:
    """N items whose figures differ widely between items, and by `shift` between runs."""
    rng = np.random.default_rng(7)
    level = rng.normal(0, 1.0, N)
    noise = np.random.default_rng([seed, 1]).normal(0, 0.05, N)
    values = {"FRC": level + noise + shift, "FRD": level - noise - shift, "smile_coupling": level + noise}
    system = System(name, "listener", values=values, figures={"FRDvs": Figure(0.1 + shift, 0.09 + shift, 0.11 + shift)})
    items = tuple(Item(f"{prefix}{n}", 10.0) for n in range(N))
    return Result(Info("recordings", "t", **info), items, (system,))  # type: ignore[arg-type]


def verdicts(a: Result, b: Result) -> dict[str, str]:
    return {c.metric.name: c.verdict for c in compare((a, chosen(a, None, "a")), (b, chosen(b, None, "b"))).figures}


def test_the_same_run_has_no_differences() -> None:
    assert set(verdicts(run(), run()).values()) == {"none"}


def test_pairing_finds_what_two_separate_draws_cannot() -> None:
    a, b = run(), run(0.15, seed=1)
    assert verdicts(a, b) == {"FRC": "better", "FRD": "better", "smile_coupling": "none", "FRDvs": "higher"}
    other = run(0.15, prefix="j", seed=1)
    found = compare((a, a.systems[0]), (other, other.systems[0]))
    assert found.matched == 0
    assert {c.metric.name: c.verdict for c in found.figures}["FRC"] == "none"
    assert {c.difference.how for c in found.figures} == {"unpaired", "from intervals"}
    assert any("drawn for itself" in note for note in found.notes)


def test_only_what_both_have_is_compared() -> None:
    a, b = run(), run(0.15, seed=1)
    half = Result(
        b.info,
        b.items[::2],
        (replace(b.systems[0], values={k: v[::2] for k, v in b.systems[0].values.items() if k != "FRD"}, figures={}),),
    )
    found = compare((a, a.systems[0]), (half, half.systems[0]))
    assert found.matched == N // 2
    assert [c.metric.name for c in found.figures] == ["FRC", "smile_coupling"]
    assert found.figures[0].difference.items == N // 2
    assert any("Only the 12" in note for note in found.notes)


def test_what_is_unlike_is_said() -> None:
    a, b = run(), run(compat="react2024", people=True)
    notes = " ".join(compare((a, a.systems[0]), (b, b.systems[0])).notes)
    assert "different kinds" in notes
    assert "defined differently" in notes


def test_wrong_names_are_sentences() -> None:
    a = run()
    with pytest.raises(ReactdiffError, match="no system nobody"):
        chosen(a, "nobody", "a.npz")
    nothing = Result(a.info, a.items, (System("empty", "listener"),))
    with pytest.raises(ReactdiffError, match="no figure in common"):
        compare((a, a.systems[0]), (nothing, nothing.systems[0]))
    with pytest.raises(ReactdiffError, match="no listener under test"):
        chosen(Result(a.info, (), (System("mime"),)), None, "a.npz")
