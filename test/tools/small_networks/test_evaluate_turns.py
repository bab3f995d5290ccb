"""`evaluate turns`: waits at fixed false cutoffs, calibration, dialogues, recordings, and the command's bad input."""

from __future__ import annotations

import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.recordings.datasets.turns import Participant, Turns
from reactdiff_ros.turns.readout import read_readout
from tools.small_networks.turns.spoken_turns import Silence, SpokenTurns
from tools.small_networks.turns.study import (
    STEP_S,
    SYSTEMS,
    Decisions,
    balanced_accuracy,
    barge_ins,
    of_recordings,
    of_timings,
    reliability,
    waits,
)

READOUT = read_readout()
STEPS = 50


def decisions(ends, lengths, p):
    return Decisions(np.array(ends), np.array(lengths), np.array(p, dtype=float))


def test_silence_alone_waits_for_the_longest_holds_and_a_sure_read_out_does_not():
    rng = np.random.default_rng(0)
    ends = np.arange(400) % 2 == 0
    lengths = np.where(ends, 9.0, rng.uniform(0.2, 2.0, 400))
    blind = waits(decisions(ends, lengths, np.full((400, STEPS), 0.5)))
    assert blind["10_percent"]["silence_alone_s"] == pytest.approx(1.82, abs=0.1)
    assert blind["10_percent"]["saved"] == pytest.approx(0.0)
    sure = waits(decisions(ends, lengths, np.where(ends[:, None], 0.9, 0.1) * np.ones((400, STEPS))))
    assert sure["5_percent"]["wait_s"] == pytest.approx(STEP_S)
    assert sure["5_percent"]["saved"] > 0.9


def test_a_hold_that_is_over_before_the_answer_is_not_cut_and_what_cannot_be_kept_is_nan():
    found = waits(decisions([True, False], [9.0, 0.3], np.full((2, STEPS), 0.5)), [0.0])
    assert found["0_percent"]["silence_alone_s"] == pytest.approx(0.3)
    found = waits(decisions([True, False], [9.0, 99.0], np.zeros((2, STEPS))), [0.0])
    assert np.isnan(found["0_percent"]["wait_s"])
    assert np.isnan(waits(decisions([False], [0.3], np.zeros((1, STEPS))))["5_percent"]["wait_s"])
    assert np.isnan(balanced_accuracy(np.zeros(2), np.array([True, True]), 0.5))


def test_reliability_of_who_knows_is_good_and_of_who_boasts_is_not():
    rng = np.random.default_rng(1)
    p = rng.random(20000)
    labels = rng.random(20000) < p
    assert reliability(p, labels)["error"] < 0.02
    assert reliability(np.where(p > 0.5, 0.99, 0.01), labels)["error"] > 0.15
    assert np.isnan(reliability(np.zeros(0), np.zeros(0, bool))["error"])


@pytest.fixture(scope="module")
def dialogue() -> Turns:
    rng = np.random.default_rng(3)
    said: list[list[tuple[float, float]]] = [[], []]
    short: list[list[tuple[float, float]]] = [[], []]
    t, who = 0.5, 0
    while t < 170.0:
        for _ in range(int(rng.integers(1, 4))):
            said[who].append((t, t + 2.0))
            short[1 - who] += [(t + 1.0, t + 1.3)] if rng.random() < 0.3 else []
            t += 2.0 + rng.uniform(0.25, 0.9)
        who = 1 - who
    people = [Participant(n, np.array(said[i]), np.array(short[i])) for i, n in enumerate("ab")]
    return Turns((people[0], people[1]), t, {})


def test_figures_of_a_dialogue(dialogue):
    gaze = {p.name: np.stack([p.talk[:, 1] - 0.5, p.talk[:, 1] + 0.5], axis=1) for p in dialogue.people}
    found = of_timings(dialogue, READOUT, gaze=gaze)
    assert set(found) & set(SYSTEMS) == {"timing", "timing_face"}
    for system in ("timing", "timing_face"):
        assert 0.2 <= found[system]["10_percent"]["wait_s"] <= found[system]["10_percent"]["silence_alone_s"]
        assert 0.0 <= found[system]["defaults"]["eot_false_cutoffs"] <= 1.0
    assert found["signals"]["p_now"]["auc"] > 0.8
    json.dumps(found)


def test_a_turn_over_the_robots_speech_is_found_within_half_a_second_and_backchannels_are_mostly_none(dialogue):
    found = barge_ins(dialogue, READOUT)
    assert found["backchannels"] > 10
    assert found["backchannels_taken"] < 0.2
    a = Participant("a", np.array([[2.0, 5.0], [22.0, 25.0]]), np.zeros((0, 2)))
    b = Participant("b", np.array([[0.5, 9.0], [20.0, 29.0]]), np.zeros((0, 2)))
    found = barge_ins(Turns((a, b), 60.0, {}), READOUT)
    assert (found["turns"], found["found"]) == (2, 1.0)
    assert found["delay_p90_s"] <= 0.5


@pytest.fixture(scope="module")
def sound(tmp_path_factory, clips) -> Path:
    """Real words, then silence."""
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    with wave.open(str(clips("webrtcvad_leak_test.wav"))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.concatenate([samples, np.zeros(24000, "<i2")]).tobytes())
    return path


def test_figures_of_a_recording_through_the_whole_pipeline(sound):
    found = of_recordings([SpokenTurns("a", sound, (Silence(9.4, 12.0, True),))], READOUT, None)
    assert found["ends"] == 1
    assert found["all"]["defaults"]["eot_wait_s"] <= 2.0


def test_the_command(tmp_path, sound, reactdiff):
    shutil.copy(sound, tmp_path / "a.wav")
    row = {"id": "a", "language": "en", "audio": "a.wav", "silence_spans": [{"start": 9.4, "end": 12.0}]}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    recordings = ["evaluate", "turns", "--recordings", tmp_path]
    found, _ = reactdiff(*recordings, "--network", "none", "--worlds", 0, "--json")
    assert found["recordings"]["ends"] == 1
    reactdiff("evaluate", "turns", code=2)
    assert "/nowhere.onnx" in reactdiff(*recordings, "--network", "/nowhere.onnx", code=1)[1]
