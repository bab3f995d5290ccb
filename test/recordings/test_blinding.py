"""Blind conditions: dealt out in balance, hidden on the robot, sealed in the bag, opened with the key alone."""

import json
from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.condition import Condition, unveil, veil
from reactdiff_ros.recordings import blinding
from reactdiff_ros.recordings.blinding import Key, SessionsFile, StudyPlan, balance, read_plan, sessions_of

CONDITIONS = {"model": {"policy": "model"}, "thumb": {"policy": "rules", "smiling": 0.5}, "still": {"policy": "idle"}}


def plan(participants: int = 12, design: str = "within") -> StudyPlan:
    return StudyPlan("warm", design, tuple(f"p{i:02}" for i in range(participants)), CONDITIONS)


@pytest.mark.parametrize("count", range(2, 13))
def test_williams_squares_are_balanced_for_place_and_for_what_goes_before(count):
    rows = blinding.williams(count)
    assert len(rows) == (count if count % 2 == 0 else 2 * count)
    assert all(sorted(row) == list(range(count)) for row in rows)
    for place in range(count):
        assert set(Counter(row[place] for row in rows).values()) == {len(rows) // count}
    followed = Counter(pair for row in rows for pair in pairwise(row))
    assert len(followed) == count * (count - 1)
    assert len(set(followed.values())) == 1


def test_within_everybody_meets_everything_in_balanced_orders():
    sessions = sessions_of(plan(), 7)
    orders = [[t.condition for t in sessions[i : i + 3]] for i in range(0, 36, 3)]
    assert [s.id for s in sessions] == [f"p{i:02}-{k}" for i in range(12) for k in (1, 2, 3)]
    assert set(Counter((s.position, s.condition) for s in sessions).values()) == {4}
    assert set(Counter(pair for order in orders for pair in pairwise(order)).values()) == {4}
    assert balance(sessions, plan()) == ""
    assert "not a whole square" in balance(sessions_of(plan(7), 7), plan(7))


def test_between_groups_stay_equal_all_along():
    whole = plan(60, "between")
    sessions = sessions_of(whole, 3)
    assert [s.id for s in sessions] == list(whole.participants)
    for stop in range(1, 61):
        counts = Counter(s.condition for s in sessions[:stop])
        assert max(counts.values()) - min(counts[name] for name in CONDITIONS) <= 4  # within two rounds of a block
    assert balance(sessions_of(plan(2, "between"), 3), plan(2, "between")).startswith("groups differ")


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.booleans(), st.integers(), st.text(max_size=8)), max_size=4))
def test_a_veil_gives_back_what_it_hid(settings):
    condition = Condition("s", "p1", "ab", settings)
    assert unveil(veil(condition, b"0123456789abcdef")) == condition


def test_the_key_opens_every_seal_and_no_other_and_other_files_are_refused(tmp_path):
    sessions = sessions_of(plan(), 5)
    public, private = blinding.seal(plan(), sessions, 5, np.random.default_rng(1).bytes)
    (tmp_path / "key.json").write_text(json.dumps(private))
    key, seals = Key(tmp_path / "key.json"), {row["session"]: row["seal"] for row in public["sessions"]}
    for session in sessions:
        opened = key.open("warm", session.id, seals[session.id])
        assert (opened.condition, opened.participant) == (session.condition, session.participant)
        assert (opened.position, opened.settings) == (session.position, CONDITIONS[session.condition])
    for study, session, of, sentence in (
        ("warm", "p00-1", "p00-2", "does not fit"),
        ("other", "p00-1", "p00-1", "opens warm"),
        ("warm", "p77-1", "p00-1", "no session"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            key.open(study, session, seals[of])
    for text, kind in product(("", "[]", '{"kind": "reactdiff_ros key", "format": 2}'), (Key, SessionsFile)):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(ConfigError):
            kind(tmp_path / "other.json")


PLAN = """
name: warm
design: between
participants: [anna, ben]
conditions: {a: {policy: model}, b: {policy: rules}}
seed: 4
"""


def test_a_study_is_read_and_one_that_cannot_be_is_one_sentence():
    conditions = {"a": {"policy": "model"}, "b": {"policy": "rules"}}
    assert read_plan(PLAN, "s.yaml") == StudyPlan("warm", "between", ("anna", "ben"), conditions, 4)
    assert read_plan(PLAN.replace("[anna, ben]", "3"), "s.yaml").participants == ("p01", "p02", "p03")
    for old, new, sentence in (
        ("name: warm", "name: a b", "name"),
        ("[anna, ben]", "[anna, anna]", "participants"),
        (", b: {policy: rules}", "", "conditions: .* at least 2"),
        ("seed: 4", "sed: 4", "sed: unexpected"),
        ("{policy: rules}}", "{policy: rules", "not a YAML file"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            read_plan(PLAN.replace(old, new), "s.yaml")
