"""`evaluate turns`: waits at fixed false cutoffs, calibration, dialogues, recordings, and the command's bad input."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest

from reactdiff_ros.recordings.datasets.turns import Participant, Turns
from reactdiff_ros.turns.readout import read_readout
from tools.small_networks.turns.study import STEP_S, SYSTEMS, Decisions, barge_ins, of_timings, waits

READOUT = read_readout()
STEPS = 50


def waited(ends, lengths, p, *cutoffs):
    return waits(Decisions(np.array(ends), np.array(lengths), np.array(p, dtype=float)), *cutoffs)


def test_silence_alone_waits_for_the_longest_holds_and_a_sure_read_out_does_not():
    rng = np.random.default_rng(0)
    ends = np.arange(400) % 2 == 0
    lengths = np.where(ends, 9.0, rng.uniform(0.2, 2.0, 400))
    blind = waited(ends, lengths, np.full((400, STEPS), 0.5))["10_percent"]
    assert blind["silence_alone_s"] == pytest.approx(1.82, abs=0.1)
    assert blind["saved"] == pytest.approx(0.0)
    sure = waited(ends, lengths, np.where(ends[:, None], 0.9, 0.1) * np.ones((400, STEPS)))["5_percent"]
    assert sure["wait_s"] == pytest.approx(STEP_S)
    assert sure["saved"] > 0.9
    over = waited([True, False], [9.0, 0.3], np.full((2, STEPS), 0.5), [0.0])["0_percent"]
    assert over["silence_alone_s"] == pytest.approx(0.3), "a hold that is over before the answer is not cut"
    assert np.isnan(waited([True, False], [9.0, 99.0], np.zeros((2, STEPS)), [0.0])["0_percent"]["wait_s"])


def test_figures_of_a_dialogue_and_of_turns_over_the_robots_speech():
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
    dialogue = Turns((people[0], people[1]), t, {})
    gaze = {p.name: np.stack([p.talk[:, 1] - 0.5, p.talk[:, 1] + 0.5], axis=1) for p in people}
    found = of_timings(dialogue, READOUT, gaze=gaze)
    assert set(found) & set(SYSTEMS) == {"timing", "timing_face"}
    for system in ("timing", "timing_face"):
        assert 0.2 <= found[system]["10_percent"]["wait_s"] <= found[system]["10_percent"]["silence_alone_s"]
    assert found["signals"]["p_now"]["auc"] > 0.8
    json.dumps(found)
    over = barge_ins(dialogue, READOUT)
    assert over["backchannels"] > 10
    assert over["backchannels_taken"] < 0.2
    a = Participant("a", np.array([[2.0, 5.0], [22.0, 25.0]]), np.zeros((0, 2)))
    b = Participant("b", np.array([[0.5, 9.0], [20.0, 29.0]]), np.zeros((0, 2)))
    over = barge_ins(Turns((a, b), 60.0, {}), READOUT)
    assert (over["turns"], over["found"]) == (2, 1.0)
    assert over["delay_p90_s"] <= 0.5


def test_the_command_on_real_words_and_silence(tmp_path, clips, reactdiff):
    with wave.open(str(clips("webrtcvad_leak_test.wav"))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.concatenate([samples, np.zeros(24000, "<i2")]).tobytes())
    row = {"id": "a", "language": "en", "audio": "a.wav", "silence_spans": [{"start": 9.4, "end": 12.0}]}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    recordings = ["evaluate", "turns", "--recordings", tmp_path]
    found, _ = reactdiff(*recordings, "--network", "none", "--worlds", 0, "--json")
    assert found["recordings"]["ends"] == 1
    assert found["recordings"]["all"]["defaults"]["eot_wait_s"] <= 2.0
    reactdiff("evaluate", "turns", code=2)
    assert "/nowhere.onnx" in reactdiff(*recordings, "--network", "/nowhere.onnx", code=1)[1]
