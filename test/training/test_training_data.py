"""Pools of simulated listeners and recorded people: what is cut from them, completed, labelled and left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from generated_sets import FACEVERSE_ORDER, REACT_CLIPS, dualtalk, mars, react
from small_run import CONFIG, SHAPE, config, write_dyads

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, ROTATION
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.diffusion.head_mean import head_mean
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.model.diffusion.tokens import STREAMS, heard_ages
from reactdiff_ros.recordings.datasets.dyads import read_dyads
from reactdiff_ros.recordings.datasets.recording import speaker_of
from reactdiff_ros.recordings.datasets.recordings import Extracted, save
from reactdiff_ros.training.data import MARGIN, simulated_pool, tail
from reactdiff_ros.training.nets import Model
from reactdiff_ros.training.objective import (
    Objective,
    draw_batch,
)
from reactdiff_ros.training.recorded import Completion, pieces, real_pool, summary_of, training_recordings
from reactdiff_ros.training.run import people_seen, read_checkpoint, runs_of
from reactdiff_ros.training.train import Trainer

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
    pool = simulated_pool(3, config(ablate=(part,)), None)
    for i, (name, _, _) in enumerate(STREAMS):
        if name != "pose_gaze":
            assert pool.observed[..., i].max() == (name not in streams), name


def test_recorded_people_know_only_what_was_measured(people) -> None:
    known = people.known[:, MARGIN:]
    assert known[..., SMILE.latents].all()
    assert not known[..., HEAD.latents].any()
    assert people.real.all()
    assert not people.controls.any()
    assert people.style_given[:, :4].any()  # of smiles; nods, head motion and brows were not measured
    assert not people.style_given[:, 4:].any()


def test_a_fold_never_trains_on_its_pairs(tmp_path) -> None:
    folder = str(write_dyads(tmp_path / "dyads", pairs=4))
    assert training_recordings(config(fold="1/4")) == training_recordings(config(dyads=folder, ablate=("real",))) == []
    pairs = [{r.pair for r in training_recordings(config(dyads=folder, fold=f"{i}/4"))} for i in (1, 2, 3, 4)]
    assert [len(p) for p in pairs] == [3, 3, 3, 3]
    assert set.intersection(*pairs) == set()
    assert len(training_recordings(config(dyads=folder))) == 16


def test_recordings_of_any_length_are_cut_to_one(tmp_path) -> None:
    long, short, tiny = (read_dyads(write_dyads(tmp_path / str(n), pairs=1, rows=n))[0] for n in (600, 240, 30))
    made = pieces([long, short, tiny], 100)
    assert [r.frames for r in made] == [200, 200, 200]
    assert np.array_equal(made[1].listener, long.listener[200:400])
    assert np.array_equal(made[1].speaker.gaze[0], long.speaker.gaze[0, 200:400])
    assert pieces([], 100) == []
    with pytest.raises(ReactdiffError, match="too short to train on"):
        pieces([tiny], 100)


def test_what_is_left_out_is_told_beside_what_is_used(tmp_path: Path) -> None:
    long = 50 + tail(SHAPE) + 1
    for number, (length, listens) in enumerate([(long, True), (50, True), (long, True), *[(long, False)] * 3]):
        values, known = np.full((length, 58), 0.1, np.float32), np.ones((length, 58), bool)
        speaker = speaker_of(length, coefficients=values, observed=known[0])
        listener = (values, known) if listens else (None, None)
        save(tmp_path / f"{number}.npz", Extracted(f"p{number}", "1", "b", speaker, np.arange(length), *listener))
    used = training_recordings(config(recordings=str(tmp_path)))
    assert [r.pair for r in used] == ["p0", "p2"]
    sentence = summary_of(used)
    assert sentence.startswith("recorded people: 2 of recordings, each")
    assert f"left out: 3 of recordings without a listener, 1 of recordings shorter than {long / 25:.1f} s" in sentence


SETS = {"react": lambda folder: react(folder, frames=150, splits=("train", "val")), "mars": mars, "dualtalk": dualtalk}


@pytest.mark.parametrize(
    "kind", ["mars", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("react", "dualtalk"))]
)
def test_a_run_learns_from_each_kind(kind: str, tmp_path) -> None:
    root, names = SETS[kind](tmp_path / "set"), tmp_path / "names.txt"
    names.write_text("\n".join(FACEVERSE_ORDER))
    given = {"data": (f"{kind}:{root}",), "expression_names": "" if kind == "dualtalk" else str(names)}
    trainer = Trainer(
        config(**given, steps=2, vae_steps=2, decoder_steps=1, real_share=0.6), tmp_path,
        voice_of=lambda samples, rate_hz, frames: {"microphone": np.ones(frames, dtype=bool)},
    )  # fmt: skip
    assert len({r.role for r in trainer.recordings}) > 1  # both people listen
    list(trainer.run())
    assert (trainer.step, trainer.skipped) == (2, 0)
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    real = trainer._recorded()
    assert real.known[..., SMILE.latents].all()
    assert real.known[..., HEAD.latents].all()
    assert real.observed[..., [name for name, _, _ in STREAMS].index("mfcc")].any()
    assert real.labelled.any() == (kind != "dualtalk")
    assert trainer.facts["autoencoder"]["labelled_frames"] == int(real.labelled.sum())
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
    rng = np.random.default_rng(0)
    readout = rng.standard_normal((SHAPE.width + 1, 3)).astype(np.float32)
    before = with_heads.listener.clone()
    with_heads.without_head_mean(torch.from_numpy(readout), SHAPE)
    ages, tokens = heard_ages(SHAPE.as_dict()), with_heads.tokens.numpy()
    for t in (0, 1, 5, 140):
        at = t - 1 - ages
        missing = np.broadcast_to(at < 0, (len(tokens), len(at))).astype(np.float32)
        mean = head_mean(readout, ages, tokens[:, np.maximum(at, 0)], missing)
        lost = (before - with_heads.listener)[:, MARGIN + t]
        np.testing.assert_allclose(lost[:, ROTATION], mean, atol=2e-5)
    changed = (before != with_heads.listener).flatten(0, 1).any(0)
    assert torch.nonzero(changed)[:, 0].tolist() == sorted(np.arange(COEFFICIENT_COUNT)[ROTATION])


LOSSES = {
    "velocity": 0.726815, "speed": 0.0307222, "acceleration": 0.0908981, "cooccurrence": 0.000838878,
    "level": 64.0445, "auxiliary": 0.0689572, "stimulus": 1.00128,
}  # fmt: skip


def test_a_seed_draws_the_same_batch_and_its_losses_are_those_of_before(pool, people) -> None:
    """Simulated listeners and recorded people, pasts that are mistaken, disturbed and forgotten: whoever changes one of
    these on purpose changes the figures too.
    """
    settings = config(plans=64, batch=6, real_share=0.5)
    (s, d), (_, other) = (draw_batch(settings, pool, people, np.random.default_rng(3)) for _ in range(2))
    assert set(s.real.tolist()) == {0.0, 1.0}
    assert torch.equal(d.plans.target, other.plans.target)
    assert torch.equal(d.noise, other.noise)
    # Noise in pairs that differ in their sign alone.
    assert torch.equal(d.noise[:, ::2], -d.noise[:, 1::2])
    assert torch.equal(d.angle[:, ::2], d.angle[:, 1::2])
    assert torch.equal(d.unguided[:, ::2], d.unguided[:, 1::2])
    torch.manual_seed(0)
    with torch.no_grad():
        found = Objective(Model(SHAPE), settings)(s, d)[1]
    assert {name: float(value) for name, value in found.items()} == pytest.approx(LOSSES, rel=1e-3)
