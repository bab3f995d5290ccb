"""What computes the model of a reaction_node: one for all its listeners, told in words."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.nodes.reaction_node import ModelBackend


@pytest.fixture
def log(monkeypatch) -> list[str]:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    return []


def backend(log: list[str], asked: str = "auto", *, simulated: bool = False, model_dir: str = "") -> ModelBackend:
    values = {"backend": asked, "precision": "fp16", "listeners": ""}
    return ModelBackend(values, ListenerConfig(model_dir=model_dir), simulated, log.append)


def test_the_networks_are_opened_once_and_the_log_says_on_what(log) -> None:
    model = backend(log)
    assert model.state() == ""
    networks = model.networks()
    assert model.networks() is networks
    assert networks.backend == "onnxruntime-cpu"
    assert len(log) == 1
    assert log[0].startswith("the model runs on onnxruntime-cpu: TensorRT is missing")
    assert model.state() in log[0]
    model.live()
    model.close()
    assert model.state() == ""


def test_under_simulated_time_the_cpu_computes(log) -> None:
    model = backend(log, simulated=True)
    model.networks()
    assert "a replay gives the same plans" in model.state()


def test_what_was_asked_for_and_cannot_be_is_said(log) -> None:
    model = backend(log, "cuda")
    model.networks()
    assert log[0].startswith("backend cuda cannot be used, the model runs on the CPU: this ONNX Runtime has no CUDA")


def test_missing_weights_are_the_nodes_to_tell(log, tmp_path) -> None:
    model = backend(log, model_dir=str(tmp_path))
    with pytest.raises(WeightsError):
        model.networks()
    assert model.state() == ""
