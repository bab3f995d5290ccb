"""`reactdiff dev export --tensorrt` with a fake TensorRT: engines ahead of time, and the sentences without one."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner
from fake_tensorrt import FakeCuda, FakeTensorRT

from reactdiff_ros.cli.training import export
from reactdiff_ros.errors import MissingExtraError, ReactdiffError
from reactdiff_ros.model.backends import build as build_module
from reactdiff_ros.model.backends import cuda, engine, preparing

pytest.importorskip("onnx", reason="onnx is not installed (requirements/test.txt)")


@pytest.fixture
def machine(monkeypatch, tmp_path) -> FakeTensorRT:
    runtime = FakeCuda()
    trt = FakeTensorRT(runtime)
    monkeypatch.setenv("REACTDIFF_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setattr(engine, "tensorrt_module", lambda: trt)
    monkeypatch.setattr(cuda, "runtime_module", lambda: runtime)
    monkeypatch.setattr(
        preparing, "build_in_process", lambda order, started: (build_module.main(order, trt), "no such operator")
    )
    return trt


def run(*arguments: str):
    return CliRunner().invoke(export, [*arguments, "--json"], standalone_mode=False)


def test_engines_are_built_once(machine, any_weights, tmp_path) -> None:
    given = ("--tensorrt", "--model", str(any_weights), "--steps", "1", "--precision", "fp32")
    first = run(*given)
    assert first.exception is None, first.output
    told = json.loads(first.stdout)["engines"]
    assert sorted(told["built_s"]) == ["encoder", "sampler-1", "sampler-1-guided", "vae_decoder"]
    assert told["gpu"] == "Fake GPU 9000"
    assert len(list((tmp_path / "engines").glob("*.engine"))) == 4
    again = json.loads(run(*given).stdout)["engines"]
    assert again["built_s"] == {}
    assert len(again["from_cache"]) == 4


def test_a_build_that_fails_is_an_error(machine, any_weights) -> None:
    machine.broken = "parse"
    failed = run("--tensorrt", "--model", str(any_weights), "--steps", "1")
    assert isinstance(failed.exception, ReactdiffError)
    assert "engines cannot be built here" in str(failed.exception)
    assert "an engine could not be built (sampler-1)" in str(failed.exception)


def test_no_gpu_is_an_error(machine, any_weights) -> None:
    machine.cuda.devices = 0
    failed = run("--tensorrt", "--model", str(any_weights))
    assert "there is no NVIDIA GPU" in str(failed.exception)


def test_without_tensorrt_it_is_named(monkeypatch, any_weights) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    failed = run("--tensorrt", "--model", str(any_weights))
    assert isinstance(failed.exception, MissingExtraError)
    assert "TensorRT 10 or 11" in str(failed.exception)


@pytest.mark.parametrize("arguments", [(), ("x.pt",), ("--output", "y"), ("--tensorrt", "--output", "y")])
def test_halves_of_a_question_are_refused(arguments) -> None:
    result = CliRunner().invoke(export, list(arguments))
    assert result.exit_code == 2
    assert "CHECKPOINT" in result.output
