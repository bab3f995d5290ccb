"""Studies of one listener on simulated speakers: its behaviour, answers, controls, sampling and long sessions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, ROTATION, SMILE, index
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bounds import judge_study
from reactdiff_ros.evaluation.listeners import StreamListener
from reactdiff_ros.evaluation.metrics.bootstrap import swept
from reactdiff_ros.evaluation.studies import behaviour, conjunctions, controls, sampling, sessions
from reactdiff_ros.evaluation.studies.sampling import FULL, compare, difference, evaluate_ablations, grouped
from reactdiff_ros.evaluation.studies.sessions import PARTS, VISIT, evaluate_sessions
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.conditions import CONTROL_COUNT, CONTROL_NAMES
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, featurize
from reactdiff_ros.simulator.dyads import simulate
from reactdiff_ros.simulator.speaker import PLACEBOS
from reactdiff_ros.styles import LISTENER_CONTROLS


def test_the_simulators_listener_relies_on_the_speaker_and_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It anticipates by precursors alone, and is as near to itself as the floor; an idle face is neither."""
    monkeypatch.setattr(behaviour, "EXPECTED_OF", 4)
    found = behaviour.evaluate_behaviour(StreamListener("simulator"), items=16, seconds=16).figures
    bins = found["lags"]["responsive"]["without_precursors"]["bins"]
    assert bins["within_200_ms"]["excess"] < bins["within_200_ms"]["chance_high"] + 0.08
    assert bins["200_to_1000_ms"]["excess"] > bins["200_to_1000_ms"]["chance_high"]
    assert found["reliance"]["face"]["low"] > 0
    realism = found["realism"]
    assert realism["frechet"]["distance"] == pytest.approx(realism["frechet"]["floor"], rel=0.5)
    assert abs(realism["classifier"]["auc"] - 0.5) < 0.15
    assert np.isfinite(realism["classifier_floor"]["auc"])
    idle = behaviour.evaluate_behaviour(StreamListener("idle"), items=8, seconds=8).figures
    assert idle["reliance"]["smile"]["reliance"] == 0
    assert idle["realism"]["classifier"]["auc"] > 0.9
    assert all(b["share"] == 0 for b in idle["lags"]["natural"]["with_precursors"]["bins"].values())


def test_it_is_the_attention_of_the_networks(random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from random_model import random_model

    from reactdiff_ros.training import nets

    x, o = (values[:, 20:].reshape(-1, values.shape[-1]) for values in featurize(simulate(4, 4, 40).speaker))
    seen: list[np.ndarray] = []

    def attend(q, k, v, mask=None):
        share = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + mask, dim=-1)
        seen.append(share.mean(1)[:, 0].numpy())
        return share @ v

    monkeypatch.setattr(nets, "attend", attend)
    with torch.no_grad():
        random_model().encoder.fuse(torch.from_numpy(x), torch.from_numpy(o))
    fusion = behaviour.read_fusion(find_weights(random_weights))
    maps = behaviour.attention_maps(fusion, x.astype(float), o.astype(float))
    for name, wanted in zip(behaviour.MAPS, seen, strict=True):
        np.testing.assert_allclose(maps[name], wanted, atol=2e-3)  # tensors are shipped in half precision
        np.testing.assert_allclose(maps[name].sum(-1), 1, atol=1e-6)


def test_a_sweep_is_paired_and_tells_what_does_not_rise() -> None:
    base = np.random.default_rng(0).normal(size=40)
    rising = swept("x", (0.0, 1.0), np.stack([base, base + 0.1]))
    assert rising["rises"]
    assert rising["rise_low"] == pytest.approx(0.1), "the spread between streams is not in it"
    for rows in ([base, base + 0.2, base + 0.1], np.full((2, 3), np.nan)):
        flat = swept("x", (0.0,) * len(rows), np.stack(rows))
        assert (flat["monotonic"], flat["rises"]) == (False, False)


def test_every_control_rises_on_the_simulators_listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "LISTENERS", 2)  # whose faces go through the expression
    found = controls.evaluate_controls(StreamListener("simulator"), seed=0, items=12, seconds=16.0, points=2)
    figures = found.figures
    assert set(figures["controls"]) == set(LISTENER_CONTROLS)
    assert figures["style"] == {}
    for name, parts in figures["controls"].items():
        assert parts[0]["rise_low"] > 0.0, name
    delay = figures["controls"]["delay_s"][0]["mean"]
    assert delay[-1] - delay[0] == pytest.approx(1.0, abs=0.25)
    assert found.pictures["controls.png"](tmp_path / "controls.png").stat().st_size > 10_000


class Answers(StreamListener):
    """Shows half of the perceived smile 0.4 s later, by its attitude; nods half a second after every cue alone."""

    def run(self, speaker, conditions, seeds, truth=None):
        out = np.zeros((*speaker.camera.shape, 58), dtype=np.float32)
        gain = 0.5 * (1 + conditions.controls[:, CONTROL_NAMES.index("attitude")])
        smile = speaker.coefficients[..., list(SMILE)] * speaker.mesh[..., None]
        out[:, 10:, list(SMILE)] = smile[:, :-10] * gain[:, None, None]
        dip = 0.05 * (1 - np.cos(2 * np.pi * np.arange(15) / 15))
        began = np.diff((truth.cue > 0.5).astype(int), axis=1, prepend=0) == 1
        for row, frame in zip(*np.nonzero(began), strict=True):
            after = out[row, frame + 12 : frame + 12 + len(dip), HEAD_PITCH]
            after[:] = dip[: len(after)]
        return out


def test_small_answers_in_many_trials_count_more_often_than_large_ones_in_few_and_are_the_same_on_average() -> None:
    many, few = np.full((20, 9), 0.12), np.zeros((20, 9))
    few[:4] = 0.6
    small, large = (controls.responses(more, 0.1) for more in (many, few))
    assert (small["rate"], large["rate"]) == (1.0, 0.2)
    assert small["mean"] == pytest.approx(large["mean"]) == pytest.approx(0.12)


@pytest.mark.timeout(900)
def test_answers_to_smiles_and_cues_are_seen_and_to_no_placebo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "POOL", 60)
    figures = controls.bench_response(Answers("answers"), seed=1, trials=30).figures
    assert figures["responsive_positive"]["rate"] > 0.8
    assert figures["negative"]["rate"] == 0
    assert figures["placebo"]["rate"] <= 0.1
    assert figures["placebo"]["nod_excess_by_kind"] == dict.fromkeys(PLACEBOS, 0.0)
    assert figures["smiles_of_simulated"].keys() == figures["nods_of_simulated"].keys() == set(controls.REFERENCES)
    assert figures["smiles_of_simulated"]["simulator"]["0.9"]["mean"] > 0
    for row in figures["nods"].values():
        assert row["rate"] > 0.8
        assert row["excess_low"] > 0.5
    bound = "nods answer cues, excess surely above 0"
    assert figures["within_bounds"][bound] is True
    deaf = {**figures, "nods": {"natural": {"excess_low": 0.0}}}
    assert judge_study("response", deaf)[bound].holds is False
    assert figures["nods_of_simulated"]["simulator"]["responsive_positive"]["excess"] > 0.1
    assert figures["smiles_in_speech_of_simulated"]["simulator"]["natural"]["less"] > 0.01, "a flat voice"
    ambivalent = figures["ambivalent_smiles_of_simulated"]["simulator"]["responsive_positive"]
    assert ambivalent["over_sincere"] < 0.5
    assert ambivalent["concern"]["excess"] > 0.15
    assert figures["within_bounds"]["concern at ambivalent smiles at least .15"] is False, "it does not look worried"


def test_a_conjunction_is_read_out_of_face_and_voice_together_and_of_noise_not_at_all() -> None:
    dyads = conjunctions.speakers(1, 40, 20, None)

    def telling(batch: SpeakerBatch) -> np.ndarray:
        return np.stack([dyads.truth.burst * batch.microphone, dyads.truth.smile * batch.camera], axis=-1)

    def silent(batch: SpeakerBatch) -> np.ndarray:
        return np.random.default_rng(1).standard_normal((*batch.camera.shape, 4))

    areas, nothing = (conjunctions.read_out(tokens, dyads, 0) for tokens in (telling, silent))
    assert areas["laugh, both"] > 0.95
    assert max(areas["laugh, face alone"], areas["laugh, voice alone"]) < 0.9
    assert 0.3 < nothing["laugh, both"] < 0.7


def test_a_stream_is_like_itself_and_a_damped_copy_is_not() -> None:
    one = simulate(1, 30, 1000, prior="natural").listener
    found = compare({"shown": 0.5 * one, "raw": one, "ancestral": one}, one, 0)
    assert found["variance"]["raw_over_ancestral"]["smile"] == pytest.approx(1)
    alike = found["variance_intervals"]["raw_over_ancestral"]["smile"]
    assert [alike["low"], alike["high"]] == pytest.approx([1.0, 1.0])
    assert found["autocorrelation"]["raw_to_ancestral"]["head"] == pytest.approx(0)
    assert found["bands_over_reference"]["raw"]["1.8-6.5 Hz"]["head"] == pytest.approx(1)
    assert found["variance"]["shown_over_reference"]["head"] == pytest.approx(0.25)
    assert found["events_over_ancestral"]["nods"]["ratio"] < 0.5
    still = np.zeros((2, 1000, 58))
    still[0, 100:300, index("mouthFrownLeft", "mouthFrownRight")] = 0.2
    still[1, 100:150, index("browInnerUp", "browOuterUpLeft", "browOuterUpRight")] = 0.4  # is soon over
    assert sampling.long_shares(still) == {"brow_raises": 0.0, "frowns": pytest.approx(0.1, abs=0.002)}


@pytest.fixture
def model(random_weights: Path, tmp_path: Path) -> StreamListener:
    """With a manifest as the training writes it."""
    folder = shutil.copytree(random_weights, tmp_path / "weights")
    changed(folder, {"real": False, "fold": "", "ablate": [], "seed": 0, "steps": 1})
    return StreamListener("model", find_weights(folder), Sampling(steps=2))


def changed(folder: Path, facts: dict[str, object]) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_figures_and_tables_of_networks(model: StreamListener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "ANCESTRAL_STEPS", 3)
    monkeypatch.setattr(sampling, "SWEEP_STEPS", (1, 2))
    found = sampling.evaluate_streams(model, items=3, seconds=8)
    assert len(found.figures["within_bounds"]) == 6
    assert np.isfinite(found.figures["plan_difference"]["smile"])
    assert found.pictures["spectra.png"](tmp_path / "spectra.png").stat().st_size > 10_000
    table = evaluate_ablations([model, model], items=4, seconds=6).figures
    assert set(sampling.FIGURES) < set(table["groups"][FULL])
    assert table["groups"][FULL]["smile coupling"]["sd"] == 0
    assert set(sampling.sweep([model], items=4, seconds=6).figures["sweep"]) == {"1 steps", "2 steps"}


def test_models_that_differ_are_refused_and_differences_below_the_spread_are_none(model: StreamListener) -> None:
    assert grouped([model, model]) == {FULL: [model, model]}
    for ablate, words in ((["voice"], "no full model"), (["voice", "face"], "at once")):
        changed(Path(model.weights.folder), {"ablate": ablate})
        with pytest.raises(ReactdiffError, match=words):
            grouped([model])
    for without, verdict in (([0.5, 0.6, 0.7], "none"), ([0.1, 0.2, 0.15], "lower"), ([0.9], "higher")):
        assert difference(without, [0.55, 0.65, 0.75])["verdict"] == verdict
    assert difference([0.9], [0.5])["verdict"].startswith("unknown")


def test_a_stream_sees_the_speaker_as_late_as_its_lead_and_delay_say(model: StreamListener) -> None:
    generator = np.random.default_rng(5)
    before = generator.standard_normal((2, 60, model.networks.shape["width"] + 1)).astype(np.float32)
    after = before.copy()
    after[:, 20:] *= -1  # the speaker does something else from frame 20 on
    controls, seeds = np.zeros((2, CONTROL_COUNT), dtype=np.float32), np.array([1, 2])
    controls[1, CONTROL_NAMES.index("delay")] = 0.4
    now, then = (model.of_tokens(tokens, ordinary(2, controls), seeds) for tokens in (after, before))
    first = (np.abs(now - then) > 1e-6).any(axis=2).argmax(axis=1)
    # A plan starts every 4 frames; the first one that knows of it needs evidence that is 2 frames old, or 12.
    assert list(first) == [24, 32]


class Smiles(StreamListener):
    """A smile that comes and goes, and grows by `drift` within the session; a head that nods and sinks by `bow`."""

    drift = bow = 0.0

    def run(self, speaker, conditions, seeds, truth=None):
        rows, frames = speaker.camera.shape
        out = np.zeros((rows, frames, 58), dtype=np.float32)
        t = np.arange(frames) / 25
        out[..., list(SMILE)] = (0.4 * (1 + self.drift * t / t[-1]) * np.sin(np.pi * t / 4) ** 2)[None, :, None]
        out[..., ROTATION.start] = 0.1 * np.sin(np.pi * t / 2) + self.bow * t / t[-1]
        return out


def test_drift_and_a_head_that_sinks_are_seen_and_a_steady_listener_is_not_accused() -> None:
    smile = sessions.make_session(0, 1, 2 * PARTS).smile.reshape(PARTS, 2, VISIT)
    first, second = smile[0]
    orders = [np.array_equal(one, first) for one, _ in smile]
    assert all(np.array_equal(two, second if same else first) for same, (_, two) in zip(orders, smile, strict=True))
    assert {*orders} == {True, False}, "every part has the same speakers in an order of its own"
    drifting = Smiles("smiles")
    drifting.drift, drifting.bow = 1.0, 0.05
    drifts, steady = (evaluate_sessions(of, sessions=2, minutes=2).figures for of in (drifting, Smiles("smiles")))
    ratios, head = "every ratio's interval within .8 to 1.25", "head within .25 s.d. of where it was"
    assert not drifts["within_bounds"][ratios]
    assert not drifts["within_bounds"][head]
    assert drifts["ratios"]["s.d. of smile"]["ratio"] > 1.25
    assert drifts["ratios"]["s.d. of head"]["within"], "no ratio would have told"
    pitch = drifts["pose"]["headPitch"]
    assert pitch["last"] - pitch["second"] == pytest.approx(0.05 * 4 / 6, rel=0.01)
    assert pitch["difference"] == pytest.approx(0.05 * 4 / 6 / np.sqrt(0.005), rel=0.02)
    assert (pitch["within"], drifts["pose"]["headYaw"]["within"]) == (False, True)
    assert steady["within_bounds"][head]
    assert steady["ratios"]["s.d. of smile"]["within"]
    assert steady["ratios"]["rate of smiles"]["ratio"] == pytest.approx(1)
    assert "rate of laughs" in steady["not_judged"], "nobody laughs, and that is told"
    assert all(abs(row["difference"]) < 1e-3 for row in steady["pose"].values())
