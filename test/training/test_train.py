"""Training: pools of simulated and recorded people; a run learns from them and goes on to the same bits; nods."""

import copy
import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generated_sets import FACEVERSE_ORDER, REACT_CLIPS, dualtalk, mars, react
from small_run import CONFIG, SHAPE, config, write_dyads

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, ROTATION
from reactdiff_ros.errors import ReactdiffError, WeightsError
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import AGES, CARD, CONDITION_COUNT, LOOKS, NODS, find_weights
from reactdiff_ros.model.diffusion.conditions import GIVEN, VALUES
from reactdiff_ros.model.diffusion.head_mean import head_mean
from reactdiff_ros.model.diffusion.latents import GROUPS, LATENT_COUNT
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.diffusion.tokens import STREAMS, heard_ages
from reactdiff_ros.model.streams import free_run
from reactdiff_ros.recordings.datasets.dyads import read_dyads
from reactdiff_ros.recordings.datasets.recording import speaker_of
from reactdiff_ros.recordings.datasets.recordings import Extracted, save
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.speaker import make_speakers
from reactdiff_ros.training import nods
from reactdiff_ros.training.autoencoder import AutoencoderStep, DecoderFit, describe, labels_of, set_scale
from reactdiff_ros.training.config import TrainConfig, config_from, fold_of
from reactdiff_ros.training.data import MARGIN, cut, recorded_speakers, simulated_pool, tail
from reactdiff_ros.training.export import export
from reactdiff_ros.training.feedback import continuation, refit, stretches
from reactdiff_ros.training.nets import Model
from reactdiff_ros.training.nods import Fit, NodNet, add_to, train_nods
from reactdiff_ros.training.objective import MISTAKEN, ORDINARY, Objective, draw_batch, draw_plans, mistake
from reactdiff_ros.training.recorded import Completion, pieces, real_pool, summary_of, training_recordings
from reactdiff_ros.training.run import load_networks, people_seen, read_checkpoint, read_start, runs_of
from reactdiff_ros.training.train import Trainer

FROM = {"start_from": "before.pt", "keep_encoder": True}
SMILE, HEAD = (next(g for g in GROUPS if g.name == name) for name in ("smile", "head"))


@pytest.fixture(scope="module")
def pool():
    torch.manual_seed(0)
    return simulated_pool(3, CONFIG, None).to_latents(Model(SHAPE).vae)


@pytest.fixture(scope="module")
def people(tmp_path_factory, pool):
    recordings = read_dyads(write_dyads(tmp_path_factory.mktemp("dyads")))
    made = real_pool(recordings, Completion(pool.listener.numpy()), 0)
    torch.manual_seed(0)
    return made.to_latents(Model(SHAPE).vae)


@pytest.mark.parametrize(("part", "streams"), [("voice", {"mfcc", "prosody"}), ("face", {"expression", "affect"})])
def test_an_ablated_part_is_unobserved(part: str, streams: set[str]) -> None:
    observed = simulated_pool(3, config(ablate=(part,)), None).observed.flatten(0, -2).amax(0)
    assert {name for (name, _, _), seen in zip(STREAMS, observed, strict=True) if not seen} - {"pose_gaze"} == streams


def test_recorded_people_know_only_what_was_measured(people) -> None:
    known = people.known[:, MARGIN:]
    assert known[..., SMILE.latents].all()
    assert not known[..., HEAD.latents].any()
    assert (people.real.all(), people.controls.any()) == (True, False)
    measured = people.style_given.any(0)
    assert (measured[:4].any(), measured[4:].any()) == (True, False)  # smiles alone


def test_a_fold_never_trains_on_its_pairs(tmp_path) -> None:
    folder = str(write_dyads(tmp_path / "dyads", pairs=4))
    assert training_recordings(config(fold="1/4")) == training_recordings(config(dyads=folder, ablate=("real",))) == []
    pairs = [{r.pair for r in training_recordings(config(dyads=folder, fold=f"{i}/4"))} for i in (1, 2, 3, 4)]
    assert [len(p) for p in pairs] == [3, 3, 3, 3]
    assert set.intersection(*pairs) == set()
    assert [len(recorded_speakers(folder, fold).smile) for fold in ("", "1/4")] == [16, 12]


def test_recordings_of_any_length_are_cut_to_one(tmp_path) -> None:
    long, short, tiny = (read_dyads(write_dyads(tmp_path / str(n), pairs=1, rows=n))[0] for n in (600, 240, 30))
    made = pieces([long, short, tiny], 100)
    assert [r.frames for r in made] == [200, 200, 200]
    assert np.array_equal(made[1].listener, long.listener[200:400])
    assert np.array_equal(made[1].speaker.gaze[0], long.speaker.gaze[0, 200:400])
    with pytest.raises(ReactdiffError, match="too short to train on"):
        pieces([tiny], 100)


def test_a_sentence_names_what_is_used_and_what_is_left_out(tmp_path: Path) -> None:
    long = 50 + tail(SHAPE) + 1
    for number, (length, listens) in enumerate([(long, True), (50, True), (long, True), *[(long, False)] * 3]):
        values, known = np.full((length, 58), 0.1, np.float32), np.ones((length, 58), bool)
        speaker = speaker_of(length, coefficients=values, observed=known[0])
        listener = (values, known) if listens else ()
        save(tmp_path / f"{number}.npz", Extracted(f"p{number}", "1", "b", speaker, np.arange(length), *listener))
    used = training_recordings(config(recordings=str(tmp_path)))
    assert [r.pair for r in used] == ["p0", "p2"]
    sentence = summary_of(used)
    assert sentence.startswith("recorded people: 2 of recordings, each")
    assert f"left out: 3 of recordings without a listener, 1 of recordings shorter than {long / 25:.1f} s" in sentence


@pytest.mark.parametrize(
    "kind", ["mars", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("react", "dualtalk"))]
)
def test_a_run_learns_from_each_kind(kind: str, tmp_path) -> None:
    root, names = {"react": react, "mars": mars, "dualtalk": dualtalk}[kind](tmp_path / "set"), tmp_path / "names.txt"
    names.write_text("\n".join(FACEVERSE_ORDER))
    given = {"data": (f"{kind}:{root}",), "expression_names": "" if kind == "dualtalk" else str(names)}
    voice = {"voice_of": lambda samples, rate_hz, frames: {"microphone": np.ones(frames, dtype=bool)}}
    trainer = Trainer(config(**given, steps=2, vae_steps=2, decoder_steps=1, real_share=0.6), tmp_path, **voice)
    assert len({r.role for r in trainer.recordings}) > 1  # both people listen
    list(trainer.run())
    assert (trainer.step, trainer.skipped) == (2, 0)
    real = trainer._recorded()
    assert all(real.known[..., group.latents].all() for group in (SMILE, HEAD))
    assert real.observed[..., [name for name, _, _ in STREAMS].index("mfcc")].any()
    assert real.labelled.any() == (kind != "dualtalk")
    runs = runs_of(read_checkpoint(trainer.checkpoint))
    assert set(runs[0]["data"]) == {kind} | ({"expression_names"} if kind != "dualtalk" else set())
    assert str(root) not in json.dumps(runs)
    assert people_seen(runs) == (True, "")


def test_other_splits_are_never_opened(tmp_path) -> None:
    root = react(tmp_path, frames=100, splits=("train", "val", "test"))
    for split in ("val", "test"):
        (root / f"{split}.csv").write_text("broken")
        for path in (root / split).rglob("*.*"):
            path.write_bytes(b"broken")
    assert len(training_recordings(config(data=(f"react:{root}",)))) == 2 * len(REACT_CLIPS)


def test_a_pool_loses_the_mean_that_a_listener_will_have_while_it_plans() -> None:
    torch.manual_seed(0)
    with_heads = simulated_pool(3, CONFIG, None).encoded(Model(SHAPE).encoder)
    readout = np.random.default_rng(0).standard_normal((SHAPE.width + 1, 3)).astype(np.float32)
    before = with_heads.listener.clone()
    with_heads.without_head_mean(torch.from_numpy(readout), SHAPE)
    ages, tokens = heard_ages(SHAPE.as_dict()), with_heads.tokens.numpy()
    for t in (0, 1, 5, 140):
        missing = np.broadcast_to((at := t - 1 - ages) < 0, (len(tokens), len(ages))).astype(np.float32)
        mean = head_mean(readout, ages, tokens[:, np.maximum(at, 0)], missing)
        lost = (before - with_heads.listener)[:, MARGIN + t]
        np.testing.assert_allclose(lost[:, ROTATION], mean, atol=2e-5)
    moved = (before != with_heads.listener).flatten(0, 1).any(0)
    assert torch.nonzero(moved)[:, 0].tolist() == sorted(np.arange(COEFFICIENT_COUNT)[ROTATION])


def test_the_filter_of_heads_takes_over_what_networks_miss() -> None:
    torch.manual_seed(0)
    model, many = Model(SHAPE).requires_grad_(False), config(plans=400)
    vae, made = model.vae, simulated_pool(3, CONFIG, None).encoded(model.encoder)
    vae.set_whitening(vae.posterior(made.listener)[0])
    vae.step.fill_(1.0)
    made.to_latents(vae).latents[..., HEAD.latents].normal_()

    def missed() -> torch.Tensor:
        drawn = stretches(model, made, many, np.arange(len(made.features)), np.random.default_rng(1))
        people, own = (continuation(part, vae)[:, HEAD.latents] for part in drawn)
        return (people - own).abs().mean()

    before, first = vae.feedback.clone(), missed()
    refit(model, made, many, np.random.default_rng(0))
    assert missed() < 0.3 * first
    assert torch.nonzero((vae.feedback != before).any(0))[:, 0].tolist() == [*range(LATENT_COUNT)[HEAD.latents]]


LOSSES = {
    "velocity": 0.726448, "speed": 0.0239577, "acceleration": 0.0701419, "cooccurrence": 0.000539856,
    "level": 21.7933, "auxiliary": 0.0682734, "stimulus": 1.00128,
}  # fmt: skip


def test_a_seed_draws_the_same_batch_and_its_losses_are_those_of_before(pool, people) -> None:
    """Of simulated and recorded people, with pasts that are mistaken, disturbed and forgotten."""
    settings = config(plans=64, batch=6, real_share=0.5)
    (s, d), (_, other) = (draw_batch(settings, pool, people, np.random.default_rng(3)) for _ in range(2))
    assert set(s.real.tolist()) == {0.0, 1.0}
    assert all(map(torch.equal, (d.plans.target, d.noise), (other.plans.target, other.noise)))
    for one, two in ((d.noise, -d.noise), (d.angle, d.angle), (d.unguided, d.unguided)):  # in pairs, of either sign
        assert torch.equal(one[:, ::2], two[:, 1::2])
    torch.manual_seed(0)
    with torch.no_grad():
        found = Objective(Model(SHAPE), settings)(s, d)[1]
    assert {name: float(value) for name, value in found.items()} == pytest.approx(LOSSES, rel=1e-3)


def test_some_plans_continue_what_another_listener_has_held_and_return_to_their_own(pool) -> None:
    s, _ = draw_batch(settings := config(plans=64, batch=6, real_share=0.0), pool, None, np.random.default_rng(3))
    own, plans = (draw_plans(s, settings, np.random.default_rng(4), SHAPE.horizon) for _ in range(2))
    mistake(plans, np.random.default_rng(5))
    other = (plans.past != own.past).any(1)
    assert other.any(1).float().mean() == pytest.approx(MISTAKEN, abs=0.06)
    assert {g.name for g in GROUPS if other[:, g.latents].any()} == {g.name for g in GROUPS} - {"blinks", "gaze"}
    slow = plans.memory[:, 2] - plans.past.mean(1), own.memory[:, 2] - plans.past.mean(1)
    assert slow[0][other].abs().mean() < slow[1][other].abs().mean()  # as if it had been shown for seconds
    first, last = ((plans.target - own.target)[:, t][other].abs().mean() for t in (0, -1))
    assert first > last > 0


def changed(before: dict[str, torch.Tensor], model: torch.nn.Module) -> set[str]:
    """The parts of a model that are not what they were, of the autoencoder the names."""
    after = model.state_dict()
    names = {name for name, value in after.items() if not torch.equal(value, before[name])}
    return {name if name.startswith("vae.") else name.split(".")[0] for name in names}


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_what_was_not_measured_gives_no_gradient(pool, shift: float) -> None:
    """Head latents unknown: the loss does not depend on the head's target at all."""
    s, drawn = draw_batch(CONFIG, pool, None, np.random.default_rng(0))
    s.seen[..., 52:] = False
    s.listener[..., 52:] += shift
    drawn.plans.known[..., HEAD.latents] = False
    drawn.noise[..., HEAD.latents] += shift
    objective = Objective(Model(SHAPE), CONFIG)
    objective(s, drawn)[0].backward()
    rows = objective.model.denoiser.out.weight.grad.abs().amax(1)
    assert rows[HEAD.latents].max() == 0.0 < rows.max()


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
def test_a_budget_ends_a_run_on_time(tmp_path) -> None:
    trainer = Trainer(config(steps=10**6, vae_steps=10**6, minutes=1 / 3), tmp_path, itertools.count(1.0).__next__)
    list(trainer.run())
    assert 0 < trainer.step < 60
    assert trainer.spent() < 30
    assert trainer.vae_step == 10**6  # counted as done


def test_losses_that_are_not_finite_change_nothing(tmp_path, pool) -> None:
    trainer = Trainer(config(vae_steps=1), tmp_path)
    list(trainer.run(lambda: trainer.step >= 1))
    trainer.model.denoiser.out.bias.data[0] = float("nan")
    before = copy.deepcopy(trainer.model.state_dict())
    assert trainer._update(*trainer._gradients(*trainer._batch(pool, 0), 0.5)) == {}
    assert trainer.skipped == 1
    torch.testing.assert_close(trainer.model.state_dict(), before, rtol=0, atol=0, equal_nan=True)


def test_settings_survive_a_checkpoint_and_wrong_ones_and_a_wrong_checkpoint_are_refused(tmp_path) -> None:
    c = config(ablate=("voice",), fold="2/4", **FROM)
    assert config_from({**json.loads(json.dumps(asdict(c))), "of_another_version": 1}) == c
    assert fold_of("4/4") == (3, 4)
    folds = [({"fold": wrong}, "a fold is i/n") for wrong in ("5/4", "0/4", "1", "a/b", "1/1")]
    others = [({"ablate": ("hair",)}, "cannot be ablated"), ({"speaker_guidance": 2.0}, "--from")]
    for wrong, words in (*folds, *others):
        with pytest.raises(ReactdiffError, match=words):
            TrainConfig(**wrong)
    (tmp_path / "broken.pt").write_bytes(b"broken")
    torch.save([1, 2], tmp_path / "other.pt")
    for name, words in (("none", "is no checkpoint"), ("broken", "cannot be read"), ("other", "not a checkpoint")):
        with pytest.raises(ReactdiffError, match=rf"{words}.*{name}\.pt"):
            read_checkpoint(tmp_path / f"{name}.pt")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run on recorded people and on simulated ones who have emotions."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = Trainer(config(dyads=str(write_dyads(folder / "dyads")), emotions=1.0), folder)
    list(trainer.run())
    assert trainer.skipped == 0
    assert config_from(read_checkpoint(trainer.checkpoint)["config"]) == trainer.config
    return trainer


def begun(folder: Path, start: Path, **settings: object) -> Trainer:
    """A run that begins with the networks of another."""
    trainer = Trainer(config(start_from=str(start), **settings), folder)
    trainer.begin_with(read_start(start))
    return trainer


def test_a_run_that_is_stopped_in_every_phase_goes_on_to_the_same_bits(whole, tmp_path) -> None:
    def until(at: Callable[[Trainer], bool]) -> Trainer:
        trainer, stopped = Trainer(whole.config, tmp_path), []
        if trainer.checkpoint.exists():
            trainer.resume()
        list(trainer.run(lambda: stopped.append(at(trainer)) or any(stopped)))
        return trainer

    for at, reached in (
        (lambda run: run.vae_step >= 2, (2, 0)),
        (lambda run: run.vae_step == 4 and next(run.model.vae.decode_net.parameters()).requires_grad, (4, 0)),
        (lambda run: run.step >= 6, (4, 6)),
        (lambda run: False, (4, 8)),
    ):
        trainer = until(at)
        assert (trainer.vae_step, trainer.step) == reached
    assert changed(whole.model.state_dict(), trainer.model) == set()
    assert changed(whole.average.state_dict(), trainer.average) == set()


def test_a_kept_encoder_stays_and_older_networks_learn_to_remember(tmp_path) -> None:
    before = Trainer(config(steps=2, shape=replace(SHAPE, far=0, memory=0), dyads=""), tmp_path / "before")
    list(before.run())
    tuned = begun(tmp_path / "tuned", before.checkpoint, keep_encoder=True, steps=6)
    first = {name: value.clone() for name, value in tuned.model.state_dict().items()}
    list(tuned.run())
    assert changed(first, tuned.model) == {"denoiser", "head_mean", "vae.feedback"}
    assert (first["denoiser.from_memory.3.weight"] == 0).all()
    assert tuned.model.denoiser.from_memory[3].weight.any()
    kept = begun(tmp_path, before.checkpoint, keep_encoder=True, seed=1, keep=1.0)
    list(kept.run())
    assert "denoiser" in changed(kept.average.state_dict(), kept.model)
    assert "denoiser" not in changed(first, kept.average)
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
    drawn.conditions[:, VALUES] = ORDINARY * drawn.conditions[:, GIVEN]
    assert lost(1.0, 1.5) == pytest.approx(0.0, abs=1e-9)  # an ordinary listener stays ordinary
    drawn.unguided[:] = True
    assert lost(2.0, 1.5) == pytest.approx(0.0, abs=1e-9)  # and who hears nobody is not guided


def test_a_quarter_of_the_sequences_answer_ambivalence(pool) -> None:
    c, model = config(ambivalence=0.5), Model(SHAPE)
    torn = simulated_pool(3, c, None).to_latents(model.vae)
    assert not pool.moved.any()
    assert 0.0 < torn.moved.float().mean() < 0.2

    def answering(moved: torch.Tensor) -> float:
        """The share of sequences in which a listener answers, where these frames count as an answer."""
        frames, rows, rng = 60, np.arange(c.worlds).repeat(20), np.random.default_rng(0)
        torn.moved, torn.listener[..., 0] = moved, moved.float()
        return float(
            (cut(torn, rng, rows, frames, SHAPE).listener[:, MARGIN : MARGIN + frames, 0] > 0).any(1).float().mean()
        )

    one = torch.zeros_like(torn.moved)
    one[5, MARGIN + 90] = True
    assert answering(one) == pytest.approx(0.25, abs=0.07)
    assert answering(torch.zeros_like(one)) == 0.0  # it may happen that nobody answers


def test_training_goes_on_while_the_disk_is_full_and_saves_when_it_is_not(tmp_path, monkeypatch) -> None:
    trainer = Trainer(config(steps=25, pool_steps=25), tmp_path)

    def sync(_: int) -> None:
        if trainer.step < 25:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", sync)
    notes = [progress.note for progress in trainer.run()]
    assert any("cannot be written" in note and "training goes on" in note for note in notes)
    assert read_checkpoint(trainer.checkpoint)["step"] == 25


def test_people_that_an_earlier_run_saw_were_seen() -> None:
    def runs(**settings: object) -> Any:
        rest = {"simulator": "hash", "step": 1, "vae_step": 1, "model": {}, "average": {}}
        return runs_of({"config": asdict(TrainConfig(**settings)), **rest})

    calls = {"dyads": "calls"}
    assert people_seen(runs()) == people_seen(runs(**calls, ablate=("real",))) == (False, "")
    assert people_seen(runs(**calls, fold="2/4")) == (True, "2/4")
    before = runs(**calls, fold="1/4")
    for given, fold in (({}, "1/4"), ({**calls, "fold": "1/4"}, "1/4"), ({**calls, "fold": "2/4"}, "")):
        assert people_seen([*before, *runs(start_from="before.pt", **given)]) == (True, fold)


@pytest.mark.parametrize("ablate", [(), ("fusion",)])
def test_a_run_goes_on_from_exported_weights_and_tells_their_runs(tmp_path: Path, ablate: tuple[str, ...]) -> None:
    base = Trainer(config(steps=2, ablate=ablate), tmp_path / "base")
    list(base.run())
    assert find_weights(export(base.checkpoint, tmp_path / "weights", learnt=["broad"])[0].parent).learnt == {"broad"}
    settings = {"steps": 2, "seed": 5, "speaker_guidance": 2.0, "shape": base.config.shape}
    tuned = begun(tmp_path / "tuned", tmp_path / "weights", **settings)
    first, teacher = copy.deepcopy(tuned.model.state_dict()), copy.deepcopy(tuned._teacher.state_dict())
    for name, value in first.items():
        if not name.startswith("aux."):
            torch.testing.assert_close(value, base.average.state_dict()[name], atol=2e-3, rtol=2e-3)
    list(tuned.run())
    assert changed(first, tuned.model) == {"encoder", "denoiser", "vae.feedback"}, "the autoencoder stays"
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


def test_cameras_misread_some_speakers_whose_face_or_gaze_never_moves() -> None:
    true, read = (observe(4, make_speakers(3, 64, 300)) for _ in "ab")
    nods.misread(read, np.random.default_rng(5))
    still, fixed = ((getattr(read, name) != getattr(true, name)).any((1, 2)) for name in ("coefficients", "gaze"))
    assert 3 <= still.sum() < fixed.sum() <= 40
    assert not read.coefficients[still].any()
    assert np.nanstd(np.where(read.mesh, read.gaze[..., 2], np.nan)[fixed], axis=1).max() < 0.05


def test_the_network_that_runs_is_the_one_that_was_trained() -> None:
    torch.manual_seed(3)
    net, rng = NodNet(6), np.random.default_rng(0)
    sizes = (5, 16, 6), (5, CONDITION_COUNT)
    speaker, conditions = (rng.standard_normal(size).astype(np.float32) for size in sizes)
    missing = np.zeros((5, 16), dtype=np.float32)
    missing[0, :8], speaker[0, :8] = 1.0, 0.0
    ages, seen = rng.integers(1, AGES, (5, 1)), slice(None, None, -2)
    looks, known = speaker[:, seen][:, :LOOKS].reshape(5, -1), 1 - missing[:, seen][:, :LOOKS]
    with torch.no_grad():
        net.bias.fill_(-4.0)
        given = [torch.from_numpy(values.copy()) for values in (looks, known, conditions, ages[:, 0])]
        expected = net(*given).exp().clamp(max=0.1)
    np.testing.assert_allclose(net.head().rates(speaker, missing, conditions, ages)[:, 0], expected, rtol=1e-4)


def test_a_head_among_the_weights_nods_beside_the_networks(random_weights: Path, fit: Fit, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(random_weights, tmp_path / "with"))
    add_to(find_weights(folder), fit, {"seed": 0})
    card, found = json.loads((folder / CARD).read_text()), find_weights(folder)
    assert found.nods is not None
    assert card["encoder"] == found.encoder == find_weights(random_weights).encoder
    assert card["sha256"].startswith(found.nods.digest)
    networks = Networks(found)
    tokens = np.zeros((1, 1000, networks.shape["width"] + 1), dtype=np.float32)

    given = {"speaker_of": np.zeros(8, int), "seeds": np.arange(8), "how": Sampling(steps=1)}
    nodding = free_run(networks, tokens, ordinary(8), **given)[..., 52]
    object.__setattr__(networks.nods, "bias", np.float32(-50.0))
    dips = nodding - free_run(networks, tokens, ordinary(8), **given)[..., 52]
    assert dips.min() > -1e-5
    assert 1 <= (np.diff((dips > 0.005).astype(int), axis=1) == 1).sum() < 200
    (folder / NODS).write_bytes(b"broken")
    with pytest.raises(WeightsError, match="not the file that was put there"):
        find_weights(folder)
