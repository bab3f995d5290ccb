"""The options that the commands of evaluation share: declared once, handed over as one object."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np
import pytest

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.main import cli, main
from reactdiff_ros.evaluation.bench.machine import commit
from reactdiff_ros.evaluation.listeners import voices_facts
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.dyads import simulator_hash
from reactdiff_ros.simulator.voices import COLUMNS, VoiceBank

SHARED = {"steps", "guidance", "hop_s", "seed", "workers", "as_json"}
COMMANDS = {
    "ablations": {"voices"}, "behaviour": {"voices", "output"}, "controls": {"voices", "output"}, "dyads": {"output"},
    "evidence": {"voices"}, "sessions": {"voices"}, "simulator": {"voices", "output"}, "streams": {"voices", "output"},
}  # fmt: skip


def command(*names: str) -> click.Command:
    found: click.Command = cli
    for name in names:
        assert isinstance(found, click.Group)
        made = found.get_command(click.Context(found), name)
        assert made is not None
        found = made
    return found


@pytest.mark.parametrize(
    ("path", "more"),
    [(("evaluate", name), more) for name, more in COMMANDS.items()] + [(("bench", "response"), {"voices", "output"})],
)
def test_every_command_has_the_shared_options_once(path: tuple[str, ...], more: set[str]) -> None:
    names = [parameter.name for parameter in command(*path).params]
    assert len(names) == len(set(names))
    assert set(names) >= SHARED | more
    assert not ({"voices", "output"} - more) & set(names)


def test_what_is_given_arrives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[options.Run, str]] = []

    @click.command()
    @click.argument("name")
    @options.evaluation(output=True, workers=options.EVERY_CORE)
    def verb(run: options.Run, name: str) -> int:
        """A verb."""
        seen.append((run, name))
        with run.result() as result:
            print("a library talks")
            result["name"] = name
        return 0

    def call(*arguments: str) -> dict[str, Any]:
        verb.main([*arguments], standalone_mode=False)
        value: dict[str, Any] = json.loads(capsys.readouterr().out.split("a library talks\n")[-1])
        return value

    assert call("a") == {"name": "a", "simulator": simulator_hash()}
    run, _ = seen[-1]
    assert (run.steps, run.guidance, run.hop_s, run.seed, run.output, run.voices) == (None, None, None, 0, None, None)
    assert run.workers >= 1
    call("b", "--steps", "4", "--guidance", "2", "--hop-s", "0.32", "--seed", "7", "--workers", "3", "--output", "x")
    run, name = seen[-1]
    assert (name, run.seed, run.workers, run.output) == ("b", 7, 3, Path("x"))
    how = run.sampling()
    assert (how.steps, how.guidance, how.hop) == (4, 2.0, 8)


def test_json_is_alone_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @options.evaluation(voices=False)
    def verb(run: options.Run) -> int:
        """A verb."""
        with run.result() as result:
            print("a library talks")
            result["seed"] = run.seed
        return 0

    verb.main(["--json", "--seed", "3"], standalone_mode=False)
    captured = capfd.readouterr()
    assert json.loads(captured.out) == {"seed": 3, "simulator": simulator_hash()}
    assert "a library talks" in captured.err


STUDIES = "reactdiff_ros.evaluation.studies"
RESULTS = {
    "simulator": (["evaluate", "simulator", "--systems", "model"], f"{STUDIES}.simulator.evaluate"),
    "dyads": (["evaluate", "dyads", "--folder", "calls", "--system", "model"], f"{STUDIES}.dyads.evaluate_dyads"),
    "behaviour": (["evaluate", "behaviour"], f"{STUDIES}.behaviour.evaluate_behaviour"),
    "streams": (["evaluate", "streams"], f"{STUDIES}.sampling.evaluate_streams"),
    "sessions": (["evaluate", "sessions"], f"{STUDIES}.sessions.evaluate_sessions"),
    "controls": (["evaluate", "controls"], f"{STUDIES}.controls.evaluate_controls"),
    "ablations": (["evaluate", "ablations", "resource/models/live"], f"{STUDIES}.sampling.evaluate_ablations"),
    "response": (["bench", "response"], f"{STUDIES}.response.bench_response"),
}
"""Every command with a `Run`, and the study that it would take minutes over."""
MAPPINGS = ("simulator", "sessions", "controls", "ablations")
"""Whose study returns a dictionary; the others' returns a report with one."""


@dataclass
class Report:
    """What of a study's report the commands look at."""

    figures: dict[str, Any] = field(default_factory=lambda: {"figure": 1.0, "model": {"note": "none"}, "bands": {}})


class Calls:
    """Recorded calls of nobody."""

    recordings: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    frames = 0
    left_out: ClassVar[dict[str, str]] = {}


def result_of(name: str, *more: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The JSON of a command whose study is replaced."""
    arguments, study = RESULTS[name]
    report = Report()
    monkeypatch.setattr(study, lambda *_, **__: report.figures if name in MAPPINGS else report)
    monkeypatch.setattr(f"{STUDIES}.dyads.read_calls", lambda folder: Calls())
    assert main([*arguments, *more, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_says_what_it_rests_on(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = result_of(name, "--guidance", "2", "--hop-s", "0.32", capfd=capfd, monkeypatch=monkeypatch)
    shipped = find_weights()
    assert told["figure"] == 1.0
    assert told["simulator"] == simulator_hash()
    nods = None if shipped.nods is None else shipped.nods.digest
    weights = {"name": shipped.name, "digest": shipped.digest, "trained_on": shipped.simulator, "nods": nods}
    assert told["weights"] == weights
    assert (told["sampling"]["guidance"], told["sampling"]["hop"]) == (2.0, 8)
    assert told.get("voices") == (None if name == "dyads" else {"kind": "parametric"})


def test_a_listener_without_weights_names_none(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = result_of("response", "--listener", "rules", capfd=capfd, monkeypatch=monkeypatch)
    assert (told["listener"], told["simulator"]) == ("rules", simulator_hash())
    assert not {"weights", "sampling"} & set(told)


def test_several_models_are_all_named(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = result_of("ablations", "resource/models/live", capfd=capfd, monkeypatch=monkeypatch)
    assert [weights["digest"] for weights in told["weights"]] == [find_weights().digest] * 2
    assert told["commit"] == commit(Path(__file__).parent)


def test_weights_of_another_simulator_are_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactdiff_ros.simulator.dyads.simulator_hash", lambda: "another")
    arguments, study = RESULTS["streams"]
    monkeypatch.setattr(study, lambda *_, **__: Report())
    assert main([*arguments, "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["simulator"] == "another"
    assert f"trained on simulator {find_weights().simulator}; this one is another" in err


def bank(seed: int) -> VoiceBank:
    """A bank of three voices that say nothing."""
    table = np.zeros((3, 1, 2, 2, 2), np.int64)
    table[..., 1] = 4
    frames = np.random.default_rng(seed).standard_normal((8, COLUMNS)).astype(np.float32)
    return VoiceBank(frames, table, table[:, :, 0, 0], table[0, :, 0, 0], table[0, :, 0, 0])


def test_voices_are_told_by_what_they_are() -> None:
    assert voices_facts(VoiceBank()) == {"kind": "parametric"}
    one, other = voices_facts(bank(1)), voices_facts(bank(2))
    assert (one["kind"], one["voices"], len(one["digest"])) == ("synthesised", 3, 12)
    assert one == voices_facts(bank(1)) != other
