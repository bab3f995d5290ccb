"""The list of robots as a parameter: names, seeds, and a sentence for what it cannot be. No ROS."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.nodes.base import Worker
from reactdiff_ros.nodes.reaction_node import MOST_LISTENERS, parse_listeners

NAMES = st.from_regex(r"/?[A-Za-z_][A-Za-z0-9_]{0,8}(/[A-Za-z_][A-Za-z0-9_]{0,8})?", fullmatch=True)


def test_nothing_is_one_listener_in_the_own_namespace():
    assert parse_listeners("", 7) == parse_listeners(" , ", 7) == {"": 7}


def test_names_and_seeds():
    assert parse_listeners("robot1=5, /lab/robot2 = 7".replace(" = ", "="), 0) == {"robot1": 5, "/lab/robot2": 7}
    two = parse_listeners("a b", 3)
    assert two["a"] != two["b"]
    assert parse_listeners("b,a,c", 3).items() >= two.items()
    assert parse_listeners("a", 4)["a"] != two["a"]


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.integers(0, 2**31 - 1))
def test_any_namespaces_are_seated_in_their_order_with_seeds_of_31_bits(names, seed):
    members = parse_listeners(", ".join(names), seed)
    assert list(members) == names
    assert all(0 <= s < 2**31 for s in members.values())


@given(st.text(max_size=40))
def test_any_other_text_is_refused_in_our_own_words(text):
    with suppress(ConfigError):
        assert all(name.strip("/") for name in parse_listeners(text, 0) if name)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1st", "no namespace"), ("a//b", "no namespace"), ("a" * 71, "at most 70"),
     ("a=-1", "seed"), ("a=²", "seed"), (f"a={2**31}", "seed"), ("a b a=3", "twice"),
     (" ".join(f"r{i}" for i in range(MOST_LISTENERS + 1)), "more than")],
)  # fmt: skip
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_listeners(text, 0)


def test_a_worker_takes_a_kind_that_is_allowed_while_it_runs():
    handled, done = [], threading.Event()

    def handle(kind: str, item: object) -> None:
        handled.append((kind, item))
        if kind == "late":
            done.set()

    worker = Worker("test", handle, {"first": 1}, lambda error, where: None)
    worker.start()
    with pytest.raises(KeyError):
        worker.put("late", 1)
    worker.allow("late", 2)
    worker.put("late", 2)
    assert done.wait(60)
    assert worker.stop()
    assert worker.waiting() == 0
    assert handled == [("late", 2)]
