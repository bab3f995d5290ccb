"""A run learns, keeps its budget, starts from another and resumes to the same bits; and the head for nods."""

from __future__ import annotations

import copy
import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from small_run import CONFIG, SHAPE, config, write_dyads
from ticks import Ticks

from reactdiff_ros.errors import ReactdiffError, WeightsError
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import AGES, CARD, CONDITION_COUNT, LOOKS, NODS, find_weights
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.streams import free_run
from reactdiff_ros.training import nods
from reactdiff_ros.training.autoencoder import AutoencoderStep, DecoderFit, describe, labels_of, set_scale
from reactdiff_ros.training.config import TrainConfig, config_from, fold_of
from reactdiff_ros.training.data import simulated_pool
from reactdiff_ros.training.export import export
from reactdiff_ros.training.nets import Model
from reactdiff_ros.training.nods import Fit, NodNet, add_to, train_nods
from reactdiff_ros.training.objective import Objective, draw_batch
from reactdiff_ros.training.run import load_networks, people_seen, read_checkpoint, read_start, runs_of
from reactdiff_ros.training.train import Trainer


@pytest.fixture(scope="module")
def pool():
    torch.manual_seed(0)
    return simulated_pool(7, CONFIG, None).to_latents(Model(SHAPE).vae)


def changed(before: dict[str, torch.Tensor], model: torch.nn.Module) -> set[str]:
    """The parts of a model that are not what they were."""
    after = model.state_dict()
    return {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_what_was_not_measured_gives_no_gradient(pool, shift: float) -> None:
    """Head latents unknown: the loss does not depend on the head's target at all."""
    s, drawn = draw_batch(CONFIG, pool, None, np.random.default_rng(0))
    head = next(g for g in GROUPS if g.name == "head").latents
    s.seen[..., 52:] = False
    s.listener[..., 52:] += shift
    drawn.plans.known[..., head] = False
    drawn.noise[..., head] += shift
    objective = Objective(Model(SHAPE), CONFIG)
    objective(s, drawn)[0].backward()
    rows = objective.model.denoiser.out.weight.grad.abs().amax(1)
    assert rows[head].max() == 0.0 < rows.max()


def test_the_autoencoder_learns_every_group_and_turns_its_weights_and_then_its_decoder_learns_alone() -> None:
    torch.manual_seed(0)
    vae, listeners = Model(SHAPE).vae, simulated_pool(9, config(worlds=16), None).listener
    set_scale(vae, listeners)
    step, x = AutoencoderStep(vae), listeners[:, 24:88]
    seen, labelled = torch.ones_like(x, dtype=torch.bool), torch.ones(x.shape[:2], dtype=torch.bool)
    weights = step.kl_weight.clone()
    first, *_, last = (step(x, seen, labels_of(x), labelled, 0.0, max(i, 0)) for i in range(-1, 60))
    assert last["attributes"] < first["attributes"]
    assert (step.kl_weight < weights).all()  # far from TARGET: less KL
    facts = describe(vae, listeners)
    assert all(value > 0 for value in facts["explained"].values())
    assert facts["active_units"].keys() == facts["units"].keys() == {g.name for g in GROUPS}
    assert 0 < facts["attribute_error"] < 0.5

    before = copy.deepcopy(vae.state_dict())
    vae.requires_grad_(False).decode_net.requires_grad_(True)
    fit = DecoderFit(vae, listeners)
    first, *_, last = (fit(x, seen, max(i, 0) / 40) for i in range(-1, 40))
    assert last["fine"] < first["fine"]
    assert last["level"] < 0.5
    assert changed(before, vae) == {"decode_net"}


@pytest.mark.slow
def test_a_budget_ends_a_run_in_less_precision_on_time(tmp_path) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # it takes one precision in a process
    try:
        trainer = Trainer(config(steps=10**6, vae_steps=10**6, minutes=1 / 3, precision="bf16"), tmp_path, Ticks())
        reports = list(trainer.run())
        assert trainer.accelerator.mixed_precision == "bf16"
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert 0 < trainer.step < 60
    assert trainer.spent() < 30
    assert trainer.vae_step == 10**6  # counted as done
    assert all(report.left_s >= 0 or report.left_s != report.left_s for report in reports)
    assert all(torch.isfinite(p).all() for p in (*trainer.model.parameters(), *trainer.average.parameters()))


def test_losses_that_are_not_finite_change_nothing(tmp_path, pool) -> None:
    trainer = Trainer(config(vae_steps=1), tmp_path)
    list(trainer.run(lambda: trainer.step >= 1))
    trainer.model.denoiser.out.bias.data[0] = float("nan")
    before = copy.deepcopy(trainer.model.state_dict())
    assert trainer._update(*trainer._gradients(*trainer._batch(pool, 0), 0.5)) == {}
    assert trainer.skipped == 1
    for name, value in trainer.model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_settings_survive_a_checkpoint_and_wrong_ones_are_refused() -> None:
    c = config(ablate=("voice",), fold="2/4")
    assert config_from({**json.loads(json.dumps(asdict(c))), "of_another_version": 1}) == c
    assert fold_of("4/4") == (3, 4)
    for wrong in ("5/4", "0/4", "1", "a/b", "1/1"):
        with pytest.raises(ReactdiffError, match="a fold is i/n"):
            TrainConfig(fold=wrong)
    with pytest.raises(ReactdiffError, match="cannot be ablated"):
        TrainConfig(ablate=("hair",))
    with pytest.raises(ReactdiffError, match="--from"):
        TrainConfig(speaker_guidance=2.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run on recorded people and on simulated ones who have emotions."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = Trainer(config(dyads=str(write_dyads(folder / "dyads")), emotions=1.0), folder)
    list(trainer.run())
    assert trainer.skipped == 0
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    assert config_from(read_checkpoint(trainer.checkpoint)["config"]) == trainer.config
    return trainer


def begun(folder: Path, start: Path, **settings: object) -> Trainer:
    """A run that begins with the networks of another."""
    trainer = Trainer(config(start_from=str(start), **settings), folder)
    trainer.begin_with(read_start(start))
    return trainer


def test_a_run_that_is_stopped_in_every_phase_goes_on_to_the_same_bits(whole, tmp_path) -> None:
    def until(phase: str) -> Trainer:
        trainer, stopped = Trainer(whole.config, tmp_path), []
        if trainer.checkpoint.exists():
            trainer.resume()
        decoder = next(trainer.model.vae.decode_net.parameters())

        def stop() -> bool:
            at = {
                "autoencoder": trainer.vae_step >= 2, "reaction": trainer.step >= 6, "end": False,
                "decoder": trainer.vae_step == 4 and decoder.requires_grad,
            }  # fmt: skip
            stopped.append(at[phase])
            return any(stopped)

        list(trainer.run(stop))
        return trainer

    for phase, reached in {"autoencoder": (2, 0), "decoder": (4, 0), "reaction": (4, 6), "end": (4, 8)}.items():
        trainer = until(phase)
        assert (trainer.vae_step, trainer.step) == reached
    assert changed(whole.model.state_dict(), trainer.model) == set()
    assert changed(whole.average.state_dict(), trainer.average) == set()


def test_a_kept_encoder_stays_and_older_networks_learn_to_remember(tmp_path) -> None:
    before = Trainer(config(steps=2, shape=replace(SHAPE, far=0, memory=0), dyads=""), tmp_path / "before")
    list(before.run())
    tuned, kept = (
        begun(tmp_path / str(keep), before.checkpoint, keep_encoder=True, steps=6, keep=keep) for keep in (0.0, 0.25)
    )
    first = {name: value.clone() for name, value in tuned.model.state_dict().items()}
    list(tuned.run())
    assert changed(first, tuned.model) == {"denoiser", "head_mean"}
    assert (first["denoiser.from_memory.3.weight"] == 0).all()
    assert tuned.model.denoiser.from_memory[3].weight.any()
    list(kept.run())
    average = tuned.average.state_dict()
    for name, value in kept.average.state_dict().items():
        if name.startswith("denoiser"):
            torch.testing.assert_close(value, torch.lerp(average[name], first[name], 0.25), atol=1e-6, rtol=1e-5)
    freed = begun(tmp_path / "freed", tuned.checkpoint)
    assert not freed.model.head_mean.any()  # of tokens that will change
    with pytest.raises(ReactdiffError, match="another shape"):
        load_networks(before.model, SHAPE, tuned.model.state_dict(), "tuned")


def test_guidance_is_distilled_into_the_networks(pool) -> None:
    model, (s, drawn) = Model(SHAPE), draw_batch(CONFIG, pool, None, np.random.default_rng(0))
    drawn.unguided[:, 0] = True

    def lost(speaker: float, condition: float) -> float:
        """How far a student that is still its teacher is from what the teacher would show with guidance."""
        guided = config(start_from="before.pt", speaker_guidance=speaker, condition_guidance=condition)
        with torch.no_grad():
            return float(Objective(model, guided, model.denoiser)(s, drawn)[1]["velocity"])

    assert lost(1.0, 1.0 + 1e-9) == pytest.approx(0.0, abs=1e-9)  # a guidance of 1 is the teacher itself
    assert lost(2.0, 1.5) > 1e-6
    drawn.unguided[:] = True
    assert lost(2.0, 1.5) == pytest.approx(0.0, abs=1e-9)  # and who hears nobody is not guided


def test_training_goes_on_while_the_disk_is_full_and_saves_when_it_is_not(tmp_path, monkeypatch) -> None:
    trainer = Trainer(config(steps=25, pool_steps=25), tmp_path)

    def sync(_: int) -> None:
        if trainer.step < 25:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", sync)
    notes = [progress.note for progress in trainer.run()]
    assert any("cannot be written" in note and "training goes on" in note for note in notes)
    assert read_checkpoint(trainer.checkpoint)["step"] == 25


def test_a_wrong_checkpoint_is_one_sentence(tmp_path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"broken")
    torch.save([1, 2], tmp_path / "other.pt")
    reasons = {"none": "there is no checkpoint", "broken": "cannot be read", "other": "not a checkpoint"}
    for name, words in reasons.items():
        with pytest.raises(ReactdiffError, match=rf"{words}.*{name}\.pt") as caught:
            read_checkpoint(tmp_path / f"{name}.pt")
        assert "\n" not in str(caught.value)


def test_people_that_an_earlier_run_saw_were_seen() -> None:
    def runs(before: Any = None, **settings: object) -> Any:
        rest = {"simulator": "hash", "step": 1, "vae_step": 1, "model": {}, "average": {}}
        return runs_of({"config": asdict(TrainConfig(**settings)), **rest} | ({"before": before} if before else {}))

    calls = {"dyads": "calls"}
    assert people_seen(runs()) == people_seen(runs(**calls, ablate=("real",))) == (False, "")
    assert people_seen(runs(**calls, fold="2/4")) == (True, "2/4")
    before = runs(**calls, fold="1/4")
    for given, fold in (({}, "1/4"), ({**calls, "fold": "1/4"}, "1/4"), ({**calls, "fold": "2/4"}, "")):
        assert people_seen(runs(before, start_from="before.pt", **given)) == (True, fold)


def test_a_run_goes_on_from_exported_weights_and_tells_their_runs(tmp_path: Path) -> None:
    base = Trainer(config(steps=2), tmp_path / "base")
    list(base.run())
    export(base.checkpoint, tmp_path / "weights")
    tuned = begun(tmp_path / "tuned", tmp_path / "weights", steps=2, seed=5, speaker_guidance=2.0)
    first, teacher = copy.deepcopy(tuned.model.state_dict()), copy.deepcopy(tuned._teacher.state_dict())
    for name, value in first.items():
        if not name.startswith("aux."):
            torch.testing.assert_close(value, base.average.state_dict()[name], atol=2e-3, rtol=2e-3)
    list(tuned.run())
    assert changed(first, tuned.model) == {"encoder", "denoiser"}, "the autoencoder stays"
    again = Trainer(tuned.config, tmp_path / "tuned")
    again.resume()
    assert again.before == tuned.before
    assert changed(teacher, tuned._teacher) == changed(teacher, again._teacher) == set()
    shutil.rmtree(tmp_path / "weights")  # or others are exported into it
    runs = runs_of(read_checkpoint(tuned.checkpoint))
    told = [(run["settings"].get("seed", 0), run["from"], run["known"]) for run in runs]
    assert told == [(0, False, True), (5, True, True)]


@pytest.fixture(scope="module")
def fit(random_weights: Path) -> Fit:
    with pytest.MonkeyPatch.context() as small:
        for name, size in (("SPEAKERS", 16), ("FRAMES", 400), ("LISTENERS", 3)):
            small.setattr(nods, name, size)
        networks = Networks(find_weights(random_weights))
        return train_nods(networks, seed=0, pools=2, steps=100, batch=512)


def test_the_network_that_runs_is_the_one_that_was_trained() -> None:
    torch.manual_seed(3)
    net, rng = NodNet(6), np.random.default_rng(0)
    speaker = rng.standard_normal((5, 16, 6)).astype(np.float32)
    conditions = rng.standard_normal((5, CONDITION_COUNT)).astype(np.float32)
    missing = np.zeros((5, 16), dtype=np.float32)
    missing[0, :8], speaker[0, :8] = 1.0, 0.0
    ages = rng.integers(1, AGES, (5, 1))
    looks = torch.from_numpy(speaker[:, ::-1][:, ::2][:, :LOOKS].reshape(5, -1).copy())
    known = torch.from_numpy(1 - missing[:, ::-1][:, ::2][:, :LOOKS].copy())
    with torch.no_grad():
        net.bias.fill_(-4.0)
        expected = net(looks, known, torch.from_numpy(conditions), torch.from_numpy(ages[:, 0])).exp().clamp(max=0.1)
    np.testing.assert_allclose(net.head().rates(speaker, missing, conditions, ages)[:, 0], expected, rtol=1e-4)


def test_a_head_among_the_weights_nods_beside_the_networks(random_weights: Path, fit: Fit, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(random_weights, tmp_path / "with"))
    add_to(find_weights(folder), fit, {"seed": 0})
    card, found = json.loads((folder / CARD).read_text()), find_weights(folder)
    assert found.nods is not None
    assert card["encoder"] == found.encoder == find_weights(random_weights).encoder
    assert card["sha256"].startswith(found.nods.digest)
    assert (card["seed"], card["parameters"]) == (0, fit.head.count)
    networks = Networks(found)
    tokens = np.zeros((1, 1000, networks.shape["width"] + 1), dtype=np.float32)

    def pitch() -> np.ndarray:
        given = {"speaker_of": np.zeros(8, dtype=int), "seeds": np.arange(8), "how": Sampling(steps=1)}
        return free_run(networks, tokens, ordinary(8), **given)[..., 52]

    nodding = pitch()
    object.__setattr__(networks.nods, "bias", np.float32(-50.0))
    dips = nodding - pitch()
    assert dips.min() > -1e-5
    assert 1 <= (np.diff((dips > 0.005).astype(int), axis=1) == 1).sum() < 200
    (folder / NODS).write_bytes(b"broken")
    with pytest.raises(WeightsError, match="not the file that was put there"):
        find_weights(folder)
