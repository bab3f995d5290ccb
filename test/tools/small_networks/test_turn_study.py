"""The read-out of turns: recordings with marked turns, how it is learnt from who talked when, and how it is judged."""

import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from generated_sets import write_sound
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.recordings.datasets.recording import DatasetError
from reactdiff_ros.recordings.datasets.turns import Participant, Turns, read_turns
from reactdiff_ros.turns.features import PAUSE
from reactdiff_ros.turns.readout import read_readout
from tools.small_networks.turns.spoken_turns import Silence, read_spoken_turns, silences_of
from tools.small_networks.turns.study import STEP_S, Decisions, barge_ins, of_timings, waits
from tools.small_networks.turns.timings import pause_rows, pauses_of
from tools.small_networks.turns.train import auc, fit

NO = np.zeros((0, 2))


def test_eot_benchs_last_silence_ends_the_turn_and_a_bad_row_is_one_sentence_with_its_line(tmp_path):
    write_sound(tmp_path / "a.wav", 4.0)
    row = {"id": "a", "language": "en", "audio": "a.wav"}
    spans = [{"start": 1.0, "end": 1.4}, {"start": 2.0, "end": 2.05}, {"start": 3.0, "end": 4.0}]
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row | {"silence_spans": spans}) + "\n\n")
    (turns,) = read_spoken_turns(tmp_path)
    assert turns.silences == (Silence(1.0, 1.4, False), Silence(3.0, 4.0, True))
    for line in (
        "{", '{"id": 1, "audio": "b.wav", "silence_spans": []}',
        '{"id": 1, "audio": "a.wav", "silence_spans": [{"start": 2, "end": 1}]}',
        '{"id": 1, "audio": "../../etc/hostname", "silence_spans": []}',
        '{"id": 1, "audio": "a.wav", "silence_spans": [{"start": NaN, "end": 1}]}',
    ):  # fmt: skip
        (tmp_path / "manifest.jsonl").write_text(line)
        with pytest.raises(DatasetError, match="line 1"):
            read_spoken_turns(tmp_path)


def test_turnbenchs_turns_are_those_of_two_of_three_annotators(tmp_path):
    one = [(0.5, 2.0, "Normal Turn"), (2.6, 4.0, "Normal Turn"), (9.0, 11.0, "Normal Turn")]
    two = [(5.0, 8.0, "Normal Turn"), (3.0, 3.3, "Continuer Backchannel")]
    for speaker, cues in ((1, one), (2, two)):
        write_sound(tmp_path / "c1" / f"speaker_{speaker}_audio.wav", 12.0)
        for who, shift in (("a", 0.0), ("b", 0.1), ("c", 1.0)):
            times = [(f"00:00:{b + shift:06.3f} --> 00:00:{e + shift:06.3f}", label) for b, e, label in cues]
            text = "\n".join(f"{i}\n{time}\n[{label}] words\n" for i, (time, label) in enumerate(times, 1))
            (tmp_path / "c1" / f"speaker_{speaker}_annotation_{who}.srt").write_text(text.replace(".", ","))
    first, second = read_spoken_turns(tmp_path)
    silences = [(round(s.begin_s, 2), round(s.end_s, 2), s.ends) for s in first.silences]
    assert silences == [(2.05, 2.65, False), (4.05, 9.05, True)]
    assert [s.ends for s in second.silences] == [True]
    assert first.other[0] == pytest.approx((5.05, 8.05))


def test_clips_with_an_rttm_of_two_speakers_and_folders_without_what_it_takes(tmp_path, clips):
    path = clips("pyannote_two_speakers_30s.wav")
    with pytest.raises(DatasetError, match=r"manifest\.jsonl"):
        read_spoken_turns(tmp_path)
    (tmp_path / path.with_suffix(".rttm").name).symlink_to(path.with_suffix(".rttm"))
    with pytest.raises(DatasetError, match="sound"):
        read_spoken_turns(tmp_path)
    (tmp_path / path.name).symlink_to(path)
    found = read_spoken_turns(tmp_path)
    assert len(found) == 2
    assert all(turns.only and turns.other for turns in found)
    assert any(s.ends for turns in found for s in turns.silences)


SPANS = st.lists(
    st.tuples(st.floats(0.0, 50.0), st.floats(0.01, 5.0)).map(lambda s: (s[0], s[0] + s[1])), max_size=12
).map(sorted)


@given(SPANS, SPANS)
def test_silences_of_any_talk_are_silent(own, other):
    for silence in silences_of(own, other):
        assert silence.end_s > silence.begin_s
        assert not any(begin < silence.end_s - 1e-9 and end > silence.begin_s + 1e-9 for begin, end in own)


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


def test_silence_alone_waits_for_the_longest_holds_and_a_sure_read_out_does_not():
    ends = np.arange(400) % 2 == 0
    lengths = np.where(ends, 9.0, np.random.default_rng(0).uniform(0.2, 2.0, 400))
    blind = waits(Decisions(ends, lengths, np.full((400, 50), 0.5)))["10_percent"]
    assert blind["silence_alone_s"] == pytest.approx(1.82, abs=0.1)
    assert blind["saved"] == pytest.approx(0.0)
    sure = waits(Decisions(ends, lengths, np.where(ends[:, None], 0.9, 0.1) * np.ones((400, 50))))["5_percent"]
    assert sure["wait_s"] == pytest.approx(STEP_S)
    assert sure["saved"] > 0.9


def made_dialogue(path: Path, seed: int) -> Path:
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
    return path


def test_figures_of_a_dialogue_and_of_turns_over_the_robots_speech(tmp_path):
    readout, dialogue = read_readout(), read_turns(made_dialogue(tmp_path / "d.csv", 3))
    gaze = {p.name: np.stack([p.talk[:, 1] - 0.5, p.talk[:, 1] + 0.5], axis=1) for p in dialogue.people}
    found = of_timings(dialogue, readout, gaze=gaze)
    for system in ("timing", "timing_face"):
        assert 0.2 <= found[system]["10_percent"]["wait_s"] <= found[system]["10_percent"]["silence_alone_s"]
    assert found["signals"]["p_now"]["auc"] > 0.8
    over = barge_ins(dialogue, readout)
    assert over["backchannels"] > 10
    assert over["backchannels_taken"] < 0.2
    a = Participant("a", np.array([[2.0, 5.0], [22.0, 25.0]]), NO)
    b = Participant("b", np.array([[0.5, 9.0], [20.0, 29.0]]), NO)
    over = barge_ins(Turns((a, b), 60.0, {}), readout)
    assert (over["turns"], over["found"]) == (2, 1.0)
    assert over["delay_p90_s"] <= 0.5


def test_the_study_on_real_words_and_silence(tmp_path, clips, reactdiff):
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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_the_command_trains_a_read_out_that_can_be_used(tmp_path, reactdiff):
    for seed in range(4):
        made_dialogue(tmp_path / f"d{seed}.csv", seed)
    train = ["dev", "train-turns", "--timings", tmp_path, "--output", tmp_path / "readout.json", "--network", "none"]
    train += ["--sessions", 2, "--worlds", 8]
    facts, _ = reactdiff(*train, "--json")
    assert facts["timings"] == ["d0", "d1", "d2", "d3"]
    assert facts["over_folds_of_conversations"]["eot"]["auc"] > 0.5
    assert set(read_readout(tmp_path / "readout.json").heads["eot"]) == {"pause", "voice", "face"}
    assert "4 dialogues at least" in reactdiff(*train, "--leave-out", tmp_path / "d3.csv", code=1)[1]
