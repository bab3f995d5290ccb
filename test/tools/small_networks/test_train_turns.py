"""The read-out's training: rows of dialogues, the fit, and the command on a small set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.recordings.datasets.recording import DatasetError
from reactdiff_ros.recordings.datasets.turns import Participant, Turns, read_turns
from reactdiff_ros.turns.features import PAUSE
from reactdiff_ros.turns.readout import read_readout
from tools.small_networks.turns.timings import pause_rows, pauses_of, situation_rows
from tools.small_networks.turns.train import auc, fit
from tools.small_networks.turns.voices import MARKS, phrase_endings

NO = np.zeros((0, 2))


def test_pauses_are_holds_or_ends_and_end_as_if_no_one_answered():
    a = Participant("a", np.array([[1.0, 3.0], [3.5, 5.0], [12.0, 13.0]]), NO)
    b = Participant("b", np.array([[5.3, 8.0]]), NO)
    found = [(p.person, p.begin_s, p.end_s, p.ends) for p in pauses_of(Turns((a, b), 60.0, {}))]
    assert found == [(0, 3.0, 3.5, False), (0, 5.0, 12.0, True), (1, 8.0, 60.0, True)]
    rows = pause_rows([Turns((a, b), 60.0, {})])
    held = rows.time_s[~rows.labels]
    assert held.max() < 0.5
    assert rows.time_s[rows.labels].max() == pytest.approx(2.45)
    silence = rows.columns[rows.unit == 1][:, PAUSE.index("silence_over_0.2_s")]
    assert np.allclose(silence, rows.time_s[rows.unit == 1] - 0.2)


def test_who_talks_next_is_labelled_by_what_comes():
    a = Participant("a", np.array([[1.0, 4.0]]), NO)
    b = Participant("b", np.array([[4.5, 8.0]]), np.array([[2.5, 2.8]]))
    rows = situation_rows([Turns((a, b), 60.0, {})])
    mine = rows["now"].unit == 1  # a is the person
    now = dict(zip(np.round(rows["now"].time_s[mine], 2), rows["now"].labels[mine], strict=True))
    assert now[2.0]
    assert not now[4.2]
    heard = rows["backchannel"]
    times = heard.time_s[heard.labels]
    assert times.min() == pytest.approx(1.9, abs=0.06)
    assert times.max() == pytest.approx(2.45, abs=0.06)


def test_fit_finds_what_the_offset_leaves_open():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20000, 2)) * [3.0, 0.5] + 1.0
    truth = 0.5 * (x[:, 0] - 1.0) - 2.0 * (x[:, 1] - 1.0) + 0.3
    labels = rng.random(len(x)) < 1 / (1 + np.exp(-truth))
    whole = fit(x, labels)
    assert np.allclose(whole.logit(x), truth, atol=0.35)
    rest = fit(x[:, 1:], labels, offset=0.5 * (x[:, 0] - 1.0))
    assert np.allclose(rest.weights / rest.scale, -2.0, atol=0.1)
    assert fit(x, labels, bound=0.5).logit(x).max() <= 0.5


def test_auc():
    labels = np.array([True, False, True, False])
    assert auc(np.array([3.0, 1.0, 4.0, 2.0]), labels) == 1.0
    assert auc(np.zeros(4), labels) == 0.5
    assert np.isnan(auc(np.zeros(2), np.array([True, True])))


def test_phrases_give_ends_and_holds_of_the_same_words(tmp_path, clips):
    folder = clips("speech/phrases")
    for kind in ("short", "long"):
        for suffix in (".flac", ".TextGrid"):
            name = f"basketball_{kind}_female_en-US-Wavenet-C{suffix}"
            shutil.copyfile(folder / name, tmp_path / name)
    found = phrase_endings(tmp_path, None)
    assert [MARKS[mark] for mark in found.mark] == [".", ".", ",", "and"]
    assert np.isnan(found.network).all()
    (tmp_path / "basketball_long_female_en-US-Wavenet-C.TextGrid").write_text("nothing")
    with pytest.raises(DatasetError, match="words"):
        phrase_endings(tmp_path, None)
    with pytest.raises(DatasetError, match="pairs"):
        phrase_endings(tmp_path / "..", None)


def made_dialogue(path: Path, seed: int) -> None:
    """Two people in turns: long pauses end them more often."""
    rng = np.random.default_rng(seed)
    t, rows, who = 0.0, ["begin,end,participant"], "a"
    while t < 150.0:
        for _ in range(int(rng.integers(1, 4))):
            length = rng.uniform(0.9, 3.0)
            rows.append(f"{t * 1000:.0f},{(t + length) * 1000:.0f},{who}")
            t += length + rng.uniform(0.25, 0.6)
        if rng.random() < 0.5:
            rows.append(f"{(t - 1.2) * 1000:.0f},{(t - 0.9) * 1000:.0f},{'b' if who == 'a' else 'a'}")
        t += rng.uniform(0.1, 0.8)
        who = "b" if who == "a" else "a"
    path.write_text("\n".join(rows))


@pytest.mark.slow
def test_the_command_trains_a_read_out_that_can_be_used(tmp_path, capfd):
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    for seed in range(4):
        made_dialogue(tmp_path / f"d{seed}.csv", seed)
    assert len(read_turns(tmp_path / "d0.csv").people[0].talk) > 10
    output = tmp_path / "readout.json"
    arguments = ["--timings", str(tmp_path), "--output", str(output), "--sessions", "2", "--worlds", "8", "--json"]
    assert main(["dev", "train-turns", *arguments, "--network", "none"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["timings"] == ["d0", "d1", "d2", "d3"]
    assert facts["over_folds_of_conversations"]["eot"]["auc"] > 0.5
    readout = read_readout(output)
    assert set(readout.heads["eot"]) == {"pause", "voice", "face"}
    left = ["--leave-out", str(tmp_path / "d3.csv")]
    assert main(["dev", "train-turns", *arguments, *left, "--network", "none"]) != 0
    assert "4 dialogues at least" in capfd.readouterr().err
