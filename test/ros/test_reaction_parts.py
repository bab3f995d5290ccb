"""Parts of reaction_node: the list of robots as a parameter, and what computes the model."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.errors import ConfigError, WeightsError
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.nodes.reaction_node import MOST_LISTENERS, ModelBackend, parse_listeners

NAMES = st.from_regex(r"/?[A-Za-z_][A-Za-z0-9_]{0,8}(/[A-Za-z_][A-Za-z0-9_]{0,8})?", fullmatch=True)


def test_names_and_seeds():
    assert parse_listeners("", 7) == parse_listeners(" , ", 7) == {"": 7}
    assert parse_listeners("robot1=5, /lab/robot2=7", 0) == {"robot1": 5, "/lab/robot2": 7}
    two = parse_listeners("a b", 3)
    assert two["a"] != two["b"]
    assert parse_listeners("b,a,c", 3).items() >= two.items()
    assert parse_listeners("a", 4)["a"] != two["a"]


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.integers(0, 2**31 - 1))
def test_any_namespaces_keep_their_order_and_have_seeds_of_31_bits(names, seed):
    members = parse_listeners(", ".join(names), seed)
    assert list(members) == names
    assert all(0 <= s < 2**31 for s in members.values())


@given(st.text(max_size=40))
def test_any_other_text_is_refused_in_our_own_words(text):
    with suppress(ConfigError):
        assert all(name.strip("/") for name in parse_listeners(text, 0) if name)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1st", "not a namespace"), ("a//b", "not a namespace"), ("a" * 71, "at most 70"),
     ("a=-1", "seed"), ("a=x", "whole number"), ("a=²", "seed"), (f"a={2**31}", "seed"), ("a b a=3", "twice"),
     (" ".join(f"r{i}" for i in range(MOST_LISTENERS + 1)), "more than")],
)  # fmt: skip
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_listeners(text, 0)


@pytest.fixture
def log(monkeypatch) -> list[str]:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    return []


def backend(log: list[str], wanted: str = "auto", *, simulated: bool = False, model_dir: str = "") -> ModelBackend:
    values = {"backend": wanted, "precision": "fp16", "listeners": ""}
    return ModelBackend(values, ListenerConfig(model_dir=model_dir), simulated, log.append)


def test_the_networks_are_opened_once_and_the_log_says_on_what(log) -> None:
    model = backend(log)
    assert model.state() == ""
    networks = model.networks()
    assert model.networks() is networks
    assert networks.backend == "onnxruntime-cpu"
    assert len(log) == 1
    assert log[0].startswith("the model runs on onnxruntime-cpu")
    assert model.state() in log[0]
    model.live()
    model.close()
    assert model.state() == ""


def test_why_the_cpu_computes_is_said(log, tmp_path) -> None:
    model = backend(log, simulated=True)
    model.networks()
    assert "a replay gives the same plans" in model.state()
    backend(log, "cuda").networks()
    assert any("backend cuda cannot be used, the model runs on the CPU" in line for line in log)
    model = backend(log, model_dir=str(tmp_path))
    with pytest.raises(WeightsError):  # the node falls back to the rules
        model.networks()
    assert model.state() == ""
