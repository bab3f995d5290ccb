"""The read-out's training: rows of dialogues, the fit, and the command on a small set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.recordings.datasets.turns import Participant, Turns
from reactdiff_ros.turns.features import PAUSE
from reactdiff_ros.turns.readout import read_readout
from tools.small_networks.turns.timings import pause_rows, pauses_of
from tools.small_networks.turns.train import auc, fit

NO = np.zeros((0, 2))


def test_pauses_are_holds_or_ends_and_end_as_if_no_one_answered():
    a = Participant("a", np.array([[1.0, 3.0], [3.5, 5.0], [12.0, 13.0]]), NO)
    b = Participant("b", np.array([[5.3, 8.0]]), NO)
    found = [(p.person, p.begin_s, p.end_s, p.ends) for p in pauses_of(Turns((a, b), 60.0, {}))]
    assert found == [(0, 3.0, 3.5, False), (0, 5.0, 12.0, True), (1, 8.0, 60.0, True)]
    rows = pause_rows([Turns((a, b), 60.0, {})])
    assert rows.time_s[~rows.labels].max() < 0.5
    assert rows.time_s[rows.labels].max() == pytest.approx(2.45)
    silence = rows.columns[rows.unit == 1][:, PAUSE.index("silence_over_0.2_s")]
    assert np.allclose(silence, rows.time_s[rows.unit == 1] - 0.2)


def test_fit_finds_what_the_offset_leaves_open_and_auc_judges_it():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20000, 2)) * [3.0, 0.5] + 1.0
    truth = 0.5 * (x[:, 0] - 1.0) - 2.0 * (x[:, 1] - 1.0) + 0.3
    labels = rng.random(len(x)) < 1 / (1 + np.exp(-truth))
    assert np.allclose(fit(x, labels).logit(x), truth, atol=0.35)
    rest = fit(x[:, 1:], labels, offset=0.5 * (x[:, 0] - 1.0))
    assert np.allclose(rest.weights / rest.scale, -2.0, atol=0.1)
    assert fit(x, labels, bound=0.5).logit(x).max() <= 0.5
    four = np.array([True, False, True, False])
    assert (auc(np.array([3.0, 1.0, 4.0, 2.0]), four), auc(np.zeros(4), four)) == (1.0, 0.5)


def made_dialogue(path: Path, seed: int) -> None:
    """Two people in turns: long pauses end them more often."""
    rng = np.random.default_rng(seed)
    t, rows, who = 0.0, ["begin,end,participant"], "a"
    while t < 150.0:
        for _ in range(int(rng.integers(1, 4))):
            length = rng.uniform(0.9, 3.0)
            rows.append(f"{t * 1000:.0f},{(t + length) * 1000:.0f},{who}")
            t += length + rng.uniform(0.25, 0.6)
        other = "b" if who == "a" else "a"
        if rng.random() < 0.5:
            rows.append(f"{(t - 1.2) * 1000:.0f},{(t - 0.9) * 1000:.0f},{other}")
        t, who = t + rng.uniform(0.1, 0.8), other
    path.write_text("\n".join(rows))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_the_command_trains_a_read_out_that_can_be_used(tmp_path, capfd):
    for seed in range(4):
        made_dialogue(tmp_path / f"d{seed}.csv", seed)
    output = tmp_path / "readout.json"
    arguments = ["--timings", str(tmp_path), "--output", str(output), "--sessions", "2", "--worlds", "8", "--json"]
    assert main(["dev", "train-turns", *arguments, "--network", "none"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["timings"] == ["d0", "d1", "d2", "d3"]
    assert facts["over_folds_of_conversations"]["eot"]["auc"] > 0.5
    assert set(read_readout(output).heads["eot"]) == {"pause", "voice", "face"}
    left = ["--leave-out", str(tmp_path / "d3.csv")]
    assert main(["dev", "train-turns", *arguments, *left, "--network", "none"]) != 0
    assert "4 dialogues at least" in capfd.readouterr().err
