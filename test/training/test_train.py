"""A run learns, keeps its budget, starts from another and resumes to the same bits; errors are one sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from small_run import CONFIG, SHAPE, config, write_dyads

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.resources import resource_path
from reactdiff_ros.training.autoencoder import AutoencoderStep, DecoderFit, describe, labels_of, set_scale
from reactdiff_ros.training.config import TrainConfig, config_from, fold_of
from reactdiff_ros.training.data import cut, simulated_pool
from reactdiff_ros.training.export import check_features, export
from reactdiff_ros.training.nets import Model
from reactdiff_ros.training.objective import Objective, draw, draw_plans, level_loss
from reactdiff_ros.training.run import load_networks, people_seen, read_checkpoint, read_start, runs_of
from reactdiff_ros.training.torch_backend import model_of
from reactdiff_ros.training.train import Trainer

HEAD = next(g for g in GROUPS if g.name == "head")


@pytest.fixture(scope="module")
def player():
    torch.manual_seed(0)
    return Model(SHAPE).eval()


@pytest.fixture(scope="module")
def pool(player):
    return simulated_pool(7, CONFIG, None).to_latents(player.vae)


def test_the_loss_falls_on_one_batch(pool) -> None:
    torch.manual_seed(0)
    objective = Objective(Model(SHAPE), CONFIG)
    rng = np.random.default_rng(0)
    s = cut(pool, rng, np.arange(4), 50, SHAPE)
    drawn = draw(s, draw_plans(s, CONFIG, rng), CONFIG, rng)
    optimizer = torch.optim.AdamW([p for n, p in objective.named_parameters() if ".vae." not in n], lr=3e-3)
    values = []
    for _ in range(30):
        loss, parts = objective(s, drawn)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append({name: float(value.detach()) for name, value in parts.items()})
    assert values[-1]["velocity"] < 0.8 * values[0]["velocity"]
    assert values[-1]["auxiliary"] < values[0]["auxiliary"]
    assert values[-1]["stimulus"] < values[0]["stimulus"]
    assert set(values[0]) == {"velocity", "speed", "acceleration", "cooccurrence", "level", "auxiliary", "stimulus"}


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_what_was_not_measured_gives_no_gradient(pool, shift: float) -> None:
    """Head latents unknown: the loss does not depend on the head's target at all."""
    torch.manual_seed(0)
    objective = Objective(Model(SHAPE), CONFIG)
    rng = np.random.default_rng(0)
    s = cut(pool, rng, np.arange(4), 50, SHAPE)
    s.known, s.seen, s.listener = s.known.clone(), s.seen.clone(), s.listener.clone()
    s.known[..., HEAD.latents] = False
    s.seen[..., 52:] = False
    s.listener[..., 52:] += shift
    drawn = draw(s, draw_plans(s, CONFIG, rng), CONFIG, rng)
    drawn.noise[..., HEAD.latents] += shift
    objective(s, drawn)[0].backward()
    rows = objective.model.denoiser.out.weight.grad.abs().amax(1)
    assert rows[HEAD.latents].max() == 0.0 < rows.max()


def test_the_autoencoder_learns_every_group_and_turns_its_weights() -> None:
    torch.manual_seed(0)
    model = Model(SHAPE)
    listeners = simulated_pool(9, config(worlds=16), None)
    set_scale(model.vae, listeners.listener)
    step = AutoencoderStep(model.vae)
    x = listeners.listener[:, 24:88]
    seen, labelled = torch.ones_like(x, dtype=torch.bool), torch.ones(x.shape[:2], dtype=torch.bool)
    labels = labels_of(x)
    weights = step.kl_weight.clone()
    first = step(x, seen, labels, labelled, 0.0, 0)
    for i in range(60):
        last = step(x, seen, labels, labelled, 0.0, i)
    assert last["attributes"] < first["attributes"]
    assert (step.kl_weight < weights).all()  # far from TARGET: less KL
    facts = describe(model.vae, listeners.listener)
    assert all(value > 0 for value in facts["explained"].values())
    assert facts["active_units"].keys() == facts["units"].keys() == {g.name for g in GROUPS}
    assert 0 < facts["attribute_error"] < 0.5


@pytest.mark.slow
def test_the_decoder_learns_fine_motion_while_latents_stay() -> None:
    model = model_of(find_weights(""))
    before = {name: value.clone() for name, value in model.vae.state_dict().items()}
    listeners = simulated_pool(9, config(worlds=16), None).listener
    model.vae.requires_grad_(False).decode_net.requires_grad_(True)
    fit, x = DecoderFit(model.vae, listeners), listeners[:, 24:88]
    seen = torch.ones_like(x, dtype=torch.bool)
    first = fit(x, seen, 0.0)
    for i in range(40):
        last = fit(x, seen, i / 40)
    assert last["fine"] < 0.6 * first["fine"]
    assert last["level"] < 0.05
    after = model.vae.state_dict()
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"decode_net"}


@pytest.mark.slow
def test_a_budget_ends_the_run_on_time(tmp_path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 3.0
        return now[0]

    trainer = Trainer(config(steps=10**6, vae_steps=10**6, minutes=1.0), tmp_path, clock)
    reports = list(trainer.run())
    assert 0 < trainer.step < 60
    assert trainer.spent() < 90
    assert trainer.vae_step == 10**6  # counted as done
    assert all(report.left_s >= 0 or report.left_s != report.left_s for report in reports)


@pytest.mark.slow
def test_fine_tuning_starts_with_the_averaged_networks_and_keeps_the_autoencoder(whole, tmp_path) -> None:
    start = {"start_from": str(whole.checkpoint)}
    tuned = Trainer(config(steps=3, **start, dyads=whole.config.dyads, fold="1/3"), tmp_path)
    tuned.begin_with(read_start(whole.checkpoint))
    assert torch.equal(tuned.model.denoiser.out.weight, whole.average.denoiser.out.weight)
    list(tuned.run())
    assert torch.equal(tuned.model.vae.center, whole.average.vae.center)
    assert not torch.equal(tuned.average.denoiser.out.weight, whole.average.denoiser.out.weight)
    assert tuned.facts == whole.facts


def test_losses_that_are_not_finite_change_nothing(tmp_path) -> None:
    trainer = Trainer(config(vae_steps=1), tmp_path)
    list(trainer.run(lambda: trainer.step >= 1))
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    trainer.model.denoiser.out.bias.data[0] = float("nan")
    pool = simulated_pool(7, CONFIG, None).to_latents(trainer.model.vae)
    assert trainer._update(*trainer._gradients(*trainer._batch(pool, 0), 0.5)) == {}
    assert trainer.skipped == 1
    after = trainer.model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items() if k != "denoiser.out.bias")


def test_settings_survive_a_checkpoint_and_wrong_ones_are_refused() -> None:
    c = config(ablate=("voice",), fold="2/4")
    assert config_from({**json.loads(json.dumps(asdict(c))), "of_another_version": 1}) == c
    assert fold_of("4/4") == (3, 4)
    for wrong in ("5/4", "0/4", "1", "a/b", "1/1"):
        with pytest.raises(ReactdiffError, match="a fold is i/n"):
            TrainConfig(fold=wrong)
    with pytest.raises(ReactdiffError, match="cannot be ablated"):
        TrainConfig(ablate=("hair",))


def same(a: Trainer, b: Trainer) -> bool:
    states = ([*t.model.state_dict().values(), *t.average.state_dict().values()] for t in (a, b))
    return all(torch.equal(x, y) for x, y in zip(*states, strict=True))


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


def test_a_run_that_is_stopped_in_every_phase_goes_on_to_the_same_bits(whole, tmp_path) -> None:
    def until(phase: str, reached: tuple[int, int]) -> None:
        trainer = Trainer(whole.config, tmp_path)
        if trainer.checkpoint.exists():
            trainer.resume()
        decoder, stopped = next(trainer.model.vae.decode_net.parameters()), []

        def stop() -> bool:
            at = {
                "autoencoder": trainer.vae_step >= 2, "reaction": trainer.step >= 6, "end": False,
                "decoder": trainer.vae_step == 4 and decoder.requires_grad,
            }  # fmt: skip
            stopped.append(at[phase])
            return any(stopped)

        list(trainer.run(stop))
        assert (trainer.vae_step, trainer.step) == reached
        if phase == "end":
            assert same(trainer, whole)

    for phase, reached in {"autoencoder": (2, 0), "decoder": (4, 0), "reaction": (4, 6), "end": (4, 8)}.items():
        until(phase, reached)


def test_a_kept_encoder_stays_and_older_networks_learn_to_remember(whole, tmp_path) -> None:
    older = replace(config().shape, far=0, memory=0)
    before = Trainer(config(steps=2, shape=older, dyads=""), tmp_path / "before")
    list(before.run())
    tuned = Trainer(config(start_from=str(before.checkpoint), keep_encoder=True, steps=6), tmp_path / "tuned")
    tuned.begin_with(read_start(before.checkpoint))
    first = {name: value.clone() for name, value in tuned.model.state_dict().items()}
    list(tuned.run())
    after = tuned.model.state_dict()
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, first[name])}
    assert changed == {"denoiser", "head_mean"}
    kept = Trainer(replace(tuned.config, keep=0.25), tmp_path / "kept")
    kept.begin_with(read_start(before.checkpoint))
    list(kept.run())
    wanted = {n: torch.lerp(value, first[n], 0.25) for n, value in tuned.average.state_dict().items()}
    blended = {n: v for n, v in kept.average.state_dict().items() if n.startswith("denoiser")}
    assert all(torch.allclose(value, wanted[name], atol=1e-6) for name, value in blended.items())
    freed = Trainer(config(start_from=str(tuned.checkpoint)), tmp_path / "freed")
    freed.begin_with(read_start(tuned.checkpoint))
    assert not freed.model.head_mean.any()  # of tokens that will change
    assert not torch.equal(after["denoiser.from_memory.3.weight"], first["denoiser.from_memory.3.weight"])
    assert (first["denoiser.from_memory.3.weight"] == 0).all()
    with pytest.raises(ReactdiffError, match="another shape"):
        load_networks(before.model, tuned.config.shape, dict(after), "tuned")


@pytest.mark.slow
def test_guidance_is_distilled_into_the_networks(whole, tmp_path) -> None:
    settings = config(start_from=str(whole.checkpoint), keep_encoder=True, speaker_guidance=2.0, condition_guidance=1.5)
    student = Trainer(settings, tmp_path)
    student.begin_with(read_start(whole.checkpoint))
    assert student._teacher is not None
    pool = student._ready(simulated_pool(3, settings, None))
    s, drawn = student._batch(pool, 0)
    drawn.unguided[:, 0] = True
    with torch.no_grad():
        _, losses = student.objective(s, drawn)
        plain = replace(settings, speaker_guidance=1.0, condition_guidance=1.0 + 1e-9)
        _, same_as_teacher = Objective(student.model, plain, student._teacher)(s, drawn)
        drawn.unguided[:] = True
        _, unguided = student.objective(s, drawn)
    assert float(same_as_teacher["velocity"]) == pytest.approx(0.0, abs=1e-9)  # a guidance of 1 is the teacher itself
    assert float(unguided["velocity"]) == pytest.approx(0.0, abs=1e-9)  # and who hears nobody is not guided
    assert float(losses["velocity"]) > 1e-6
    teacher = {name: value.clone() for name, value in student._teacher.state_dict().items()}
    list(student.run())
    assert all(torch.equal(value, teacher[name]) for name, value in student._teacher.state_dict().items())
    again = Trainer(settings, tmp_path)
    again.resume()
    assert all(torch.equal(value, teacher[name]) for name, value in again._teacher.state_dict().items())
    with pytest.raises(ReactdiffError, match="--from"):
        config(speaker_guidance=2.0)


def test_the_level_loss_is_of_what_accumulates() -> None:
    wanted = torch.randn(64, 8, 3, generator=torch.Generator().manual_seed(0))
    last, known, weight = torch.zeros(64, 3), torch.ones(64, 8, 3), torch.ones(64, 1, 1)
    trembling = wanted + torch.tensor([1.0, -1.0]).repeat(4)[:, None]
    assert float(level_loss(trembling[:, None], wanted, last, known, weight)) == pytest.approx(0.0, abs=1e-9)
    size = wanted.mean(1).square().mean(0).sqrt()
    assert float(level_loss((wanted + size)[:, None], wanted, last, known, weight)) == pytest.approx(1.0, rel=1e-4)


def test_training_goes_on_while_the_disk_is_full_and_saves_when_it_is_not(tmp_path, monkeypatch) -> None:
    trainer = Trainer(config(steps=25, pool_steps=25), tmp_path)

    def sync(_: int) -> None:
        if trainer.step < 25:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", sync)
    notes = [progress.note for progress in trainer.run()]
    assert any("cannot be written" in note and "training goes on" in note for note in notes)
    assert read_checkpoint(trainer.checkpoint)["step"] == 25


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "there is no checkpoint"), (b"broken", "cannot be read"), ({"a": 1}, "not a checkpoint"),
     ([1, 2], "not a checkpoint")],
)  # fmt: skip
def test_a_wrong_checkpoint_is_one_sentence(tmp_path, content, sentence: str) -> None:
    path = tmp_path / "checkpoint.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ReactdiffError, match=sentence) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def fresh_precision():
    """Accelerate takes one precision in a process, torch keeps the last one."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.set_float32_matmul_precision("highest")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_a_run_in_less_precision_stays_finite_and_goes_on(tmp_path, fresh_precision, precision: str) -> None:
    settings = config(precision=precision, steps=4)
    runs = []
    for folder, stops in (("whole", [99]), ("parts", [2, 99])):
        for stop in stops:
            trainer = Trainer(settings, tmp_path / folder)
            if stop != stops[0]:
                trainer.resume()
                assert trainer.step == 2
            list(trainer.run(lambda t=trainer, stop=stop: t.step >= stop))
        runs.append(trainer)
    assert [t.step for t in runs] == [4, 4]
    assert [t.skipped for t in runs] == [0, 0]
    assert all(torch.isfinite(p).all() for t in runs for p in (*t.model.parameters(), *t.average.parameters()))
    assert same(*runs)
    assert runs[0].accelerator.mixed_precision == ("bf16" if precision == "bf16" else "no")
    assert torch.get_float32_matmul_precision() == ("high" if precision == "tf32" else "highest")


@pytest.mark.slow
def test_two_processes_train_the_same_networks(tmp_path) -> None:
    """As `accelerate launch` would start them, on the CPU: different data, one model."""
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here.parents[1]), str(here), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    done = subprocess.run(
        [*command, str(here / "two_processes.py"), str(tmp_path)], env=environment, capture_output=True, text=True,
        timeout=150, check=False,
    )  # fmt: skip
    lines = sorted(line for line in done.stdout.splitlines() if " of 2: " in line)
    assert len(lines) == 2, done.stderr[-2000:]
    assert lines[0].split(": ")[1] == lines[1].split(": ")[1]
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 3


def state(done: int, **settings) -> dict:
    rest = {"vae_step": 1, "model": {}, "average": {}}
    return {"config": asdict(TrainConfig(**settings)), "simulator": "hash", "step": done, **rest}


def test_people_that_an_earlier_run_saw_were_seen(tmp_path: Path) -> None:
    calls = {"dyads": str(tmp_path)}
    assert people_seen(runs_of(state(1))) == (False, "")
    assert people_seen(runs_of(state(1, **calls, ablate=("real",)))) == (False, "")
    assert people_seen(runs_of(state(1, **calls, fold="2/4"))) == (True, "2/4")
    before = runs_of(state(1, **calls, fold="1/4"))
    for given, fold in (({}, "1/4"), ({**calls, "fold": "1/4"}, "1/4"), ({**calls, "fold": "2/4"}, "")):
        tuned = {**state(1, start_from="before.pt", **given), "before": before}
        assert people_seen(runs_of(tuned)) == (True, fold)


LIVE = resource_path(Path("models") / "live")


@torch.no_grad()
def test_the_shipped_weights_are_the_networks_that_they_were_exported_from() -> None:
    start = read_start(Path("live"))
    model = Model(start.shape)
    load_networks(model, start.shape, start.networks, "live")
    record = json.loads((LIVE / "check.json").read_text(encoding="utf-8"))
    features, observed = (torch.from_numpy(a)[None] for a in check_features(record["frames"]))
    tokens = model.eval().encoder(features, observed)[0]
    for frame, values in record["tokens"].items():
        np.testing.assert_allclose(tokens[int(frame), :16], values, atol=0.02)  # they are kept in half precision
    assert start.runs == json.loads((LIVE / "manifest.json").read_text(encoding="utf-8"))["training"]
    assert start.facts["autoencoder"]


def test_a_run_goes_on_from_exported_weights_and_tells_their_runs(tmp_path: Path) -> None:
    base = Trainer(config(steps=2), tmp_path / "base")
    list(base.run())
    export(base.checkpoint, tmp_path / "weights")
    tuned = Trainer(config(steps=2, seed=5, start_from=str(tmp_path / "weights")), tmp_path / "tuned")
    tuned.begin_with(read_start(tmp_path / "weights"))
    for name, value in tuned.model.state_dict().items():
        if not name.startswith("aux."):
            torch.testing.assert_close(value, base.average.state_dict()[name], atol=2e-3, rtol=2e-3)
    list(tuned.run())
    shutil.rmtree(tmp_path / "weights")  # or others are exported into it
    runs = runs_of(read_checkpoint(tuned.checkpoint))
    told = [(run["settings"].get("seed", 0), run["from"], run["known"]) for run in runs]
    assert told == [(0, False, True), (5, True, True)]
    again = Trainer(config(steps=2), tmp_path / "tuned")
    again.resume()
    assert again.before == tuned.before
