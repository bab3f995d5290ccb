"""Pools of simulated listeners and recorded people: what is cut from them, completed, labelled and left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from generated_sets import FACEVERSE_ORDER, REACT_CLIPS, dualtalk, mars, react
from small_run import CONFIG, SHAPE, config, write_dyads

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, ROTATION
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.diffusion.head_mean import head_mean
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.model.diffusion.tokens import STREAMS, heard_ages
from reactdiff_ros.recordings.datasets.dyads import read_dyads
from reactdiff_ros.recordings.datasets.recording import Recording, speaker_of
from reactdiff_ros.recordings.datasets.recordings import Extracted, save
from reactdiff_ros.training.config import config_from
from reactdiff_ros.training.data import MARGIN, cut, filled, simulated_pool, tail
from reactdiff_ros.training.nets import Model
from reactdiff_ros.training.objective import (
    MISTAKEN,
    SLOW_LATENTS,
    SPRING_FRAMES,
    draw,
    draw_batch,
    draw_plans,
    mistake,
)
from reactdiff_ros.training.recorded import Completion, group_seen, pieces, real_pool, summary_of, training_recordings
from reactdiff_ros.training.run import people_seen, read_checkpoint, runs_of
from reactdiff_ros.training.train import HEAD_MEAN_PENALTY, Trainer, ridge

SMILE, HEAD = (next(g for g in GROUPS if g.name == name) for name in ("smile", "head"))
VOICE = next(i for i, (name, _, _) in enumerate(STREAMS) if name == "mfcc")


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
    smile_entries = people.style_given[:, :4]
    assert smile_entries.any()
    assert not people.style_given[:, 4:].any()  # nods, head motion and brows were not measured


def test_a_group_seen_in_part_is_completed_from_what_was_seen(people) -> None:
    smile, upper, pitch = INDEX["mouthSmileLeft"], INDEX["mouthUpperUpLeft"], INDEX["headPitch"]
    listener = np.zeros((2, 100, 58), dtype=np.float32)
    listener[..., smile] = np.random.default_rng(0).random((2, 100))
    listener[..., upper] = 0.5 * listener[..., smile]
    listener[..., pitch] = 0.3
    seen = np.arange(58) == smile
    shown = listener * seen
    completed = Completion(listener)(shown, np.broadcast_to(seen, shown.shape))
    np.testing.assert_allclose(completed[..., upper], listener[..., upper], atol=1e-5)
    assert not completed[..., pitch].any()  # of another group nothing is known
    assert group_seen(people.seen)[:, MARGIN:, upper].all()
    assert not people.seen[..., upper].any()


def test_what_was_not_measured_is_filled_from_simulated_listeners(people, pool) -> None:
    rng = np.random.default_rng(0)
    shown, others = cut(people, rng, np.arange(3), 50, SHAPE), cut(pool, rng, np.arange(3), 50, SHAPE)
    both = filled(shown, others)
    assert torch.equal(both.latents[:, MARGIN:, SMILE.latents], shown.latents[:, MARGIN:, SMILE.latents])
    assert torch.equal(both.latents[..., HEAD.latents], others.latents[..., HEAD.latents])
    assert torch.equal(both.listener[..., 52:], others.listener[..., 52:])
    assert torch.equal(both.known, shown.known)


def test_a_fold_never_trains_on_its_pairs(tmp_path) -> None:
    folder = write_dyads(tmp_path / "dyads", pairs=4)
    assert training_recordings(config(fold="1/4")) == []
    inside = [training_recordings(config(dyads=str(folder), fold=f"{i}/4")) for i in (1, 2, 3, 4)]
    pairs = [{r.pair for r in recordings} for recordings in inside]
    assert [len(p) for p in pairs] == [3, 3, 3, 3]
    assert set.intersection(*pairs) == set()
    assert len(training_recordings(config(dyads=str(folder)))) == 16
    assert training_recordings(config(dyads=str(folder), ablate=("real",))) == []


def test_recordings_of_any_length_are_cut_to_one(tmp_path) -> None:
    long = read_dyads(write_dyads(tmp_path / "long", pairs=1, rows=600))
    short = read_dyads(write_dyads(tmp_path / "short", pairs=1, rows=240))
    tiny = read_dyads(write_dyads(tmp_path / "tiny", pairs=1, rows=30))
    made = pieces([long[0], short[0], tiny[0]], 100)
    assert [r.frames for r in made] == [200, 200, 200]
    assert np.array_equal(made[1].listener, long[0].listener[200:400])
    assert np.array_equal(made[1].speaker.gaze[0], long[0].speaker.gaze[0, 200:400])
    assert pieces([], 100) == []
    with pytest.raises(ReactdiffError, match="too short to train on"):
        pieces(tiny, 100)


LONG, SHORT = 50 + tail(SHAPE) + 1, 50


def test_what_is_left_out_is_told_beside_what_is_used(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, (length, listens) in enumerate([(LONG, True), (SHORT, True), (LONG, True), *[(LONG, False)] * 3]):
        values = rng.uniform(0, 0.5, (length, 58)).astype(np.float32)
        speaker = speaker_of(length, coefficients=values, observed=np.ones(58, bool))
        listener = (values, np.ones((length, 58), bool)) if listens else (None, None)
        made = Extracted(f"p{number}", "1", "b", speaker, np.arange(length, dtype=np.int64), *listener)
        save(tmp_path / f"{number}.npz", made)
    used = training_recordings(config(recordings=str(tmp_path)))
    assert [r.pair for r in used] == ["p0", "p2"]
    sentence = summary_of(used)
    assert sentence.startswith("recorded people: 2 of recordings, each")
    assert f"left out: 3 of recordings without a listener, 1 of recordings shorter than {LONG / 25:.1f} s" in sentence
    assert "left out" not in summary_of(training_recordings(config(dyads=str(write_dyads(tmp_path / "dyads")))))


def lost(recording: Recording, every: int) -> Recording:
    """The listener's face is lost for a third of every so many frames, as it is in what perception writes."""
    seen = np.arange(recording.frames) % every >= every // 3
    return replace(recording, listener=recording.listener * seen[:, None], observed=recording.observed & seen[:, None])


def test_a_lost_face_is_no_part_of_a_style(tmp_path: Path) -> None:
    """As zeros, gaps in a smile are many fast smiles."""
    people = read_dyads(write_dyads(tmp_path / "dyads", rows=900))
    completion = Completion(np.zeros((10, 58), np.float32))
    whole, gappy = (real_pool(found, completion, 0) for found in (people, [lost(r, 30) for r in people]))
    smiles = whole.style_given[:, :4] * gappy.style_given[:, :4] > 0
    assert smiles.float().mean() > 0.7
    assert (whole.style - gappy.style)[:, :4][smiles].abs().mean() < 0.25
    seldom = [replace(r, observed=r.observed & (np.arange(r.frames) % 5 < 2)[:, None]) for r in people]
    assert not real_pool(seldom, completion, 0).style_given[:, :4].any(), "of two frames in five nothing is told"


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    return {
        "react": react(folder / "react", frames=150, splits=("train", "val")),
        "mars": mars(folder / "mars"),
        "dualtalk": dualtalk(folder / "dualtalk"),
    }


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("faceverse") / "names.txt"
    path.write_text("\n".join(FACEVERSE_ORDER))
    return str(path)


def heard(samples: np.ndarray, rate_hz: int, frames: int) -> dict[str, np.ndarray]:
    return {"microphone": np.ones(frames, dtype=bool)}


@pytest.mark.parametrize(
    "kind", ["mars", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("react", "dualtalk"))]
)
def test_a_run_learns_from_each_kind(roots, names, kind: str, tmp_path) -> None:
    given = {"data": (f"{kind}:{roots[kind]}",), "expression_names": "" if kind == "dualtalk" else names}
    chosen = config(**given, steps=2, vae_steps=2, decoder_steps=1, real_share=0.6)
    trainer = Trainer(chosen, tmp_path, voice_of=heard)
    roles = {r.role for r in trainer.recordings}
    assert len(roles) > 1  # both people listen
    assert {r.names["split"] for r in trainer.recordings} == {"train"}
    list(trainer.run())
    real = trainer._recorded()
    assert trainer.step == 2
    assert trainer.skipped == 0
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    assert real.known[..., SMILE.latents].all()
    assert real.known[..., HEAD.latents].all()
    assert real.observed[..., VOICE].any()
    assert real.labelled.any() == (kind != "dualtalk")
    assert trainer.facts["autoencoder"]["labelled_frames"] == int(real.labelled.sum())
    state = read_checkpoint(trainer.checkpoint)
    assert config_from(state["config"]) == chosen
    runs = runs_of(state)
    assert set(runs[0]["data"]) == {kind} | ({"expression_names"} if chosen.expression_names else set())
    assert str(roots[kind]) not in json.dumps(runs)
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


def test_the_readout_is_that_of_a_linear_relation() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(np.pad(3.0 + rng.standard_normal((20_000, 4)), ((0, 0), (0, 1)), constant_values=1.0))
    wanted = torch.from_numpy(rng.standard_normal((5, 3)))
    y = x @ wanted
    found = ridge(x.T @ torch.cat([x, y], dim=1)).double()
    shrunk = 1 / (1 + HEAD_MEAN_PENALTY)
    torch.testing.assert_close(found[:-1], shrunk * wanted[:-1], atol=0.02, rtol=0)
    torch.testing.assert_close((x @ found).mean(0), y.mean(0), atol=1e-3, rtol=0)  # the offset is not shrunk


def test_noise_is_drawn_in_pairs_that_differ_in_their_sign_alone(pool) -> None:
    rng = np.random.default_rng(0)
    c = config(plans=64)
    s = cut(pool, rng, np.arange(len(pool.real)), c.frames, SHAPE)
    d = draw(s, draw_plans(s, c, rng), c, rng)
    one, other = d.noise[:, ::2], d.noise[:, 1::2]
    assert torch.equal(one, -other)
    assert torch.equal(d.angle[:, ::2], d.angle[:, 1::2])
    assert torch.equal(d.unguided[:, ::2], d.unguided[:, 1::2])
    # What a linear response to z would learn of a pair, x z summed, has nothing left of x e.
    x = d.plans.target[:, None]
    cos, sin = torch.cos(d.angle)[..., None, None], torch.sin(d.angle)[..., None, None]
    product = (x * (cos * x + sin * d.noise)).unflatten(1, (-1, 2)).sum(2)
    torch.testing.assert_close(product, 2 * (cos * x.square())[:, ::2], atol=1e-4, rtol=1e-4)


def test_a_batch_is_the_same_for_the_same_seed_and_of_simulated_listeners_alone_without_recordings(pool) -> None:
    one, other = (draw_batch(CONFIG, pool, None, np.random.default_rng(4)) for _ in range(2))
    assert len(one[0].real) == CONFIG.batch
    assert not one[0].real.any()
    assert torch.equal(one[1].plans.target, other[1].plans.target)
    assert torch.equal(one[1].noise, other[1].noise)


def test_a_mistaken_past_comes_back_as_a_spring(pool) -> None:
    rng = np.random.default_rng(0)
    plans = draw_plans(cut(pool, rng, np.arange(len(pool.real)), CONFIG.frames, SHAPE), config(plans=64), rng)
    who = torch.arange(len(plans.past), dtype=torch.float32)[:, None, None]
    plans.past, plans.target, plans.memory = who + 0 * plans.past, who + 0 * plans.target, who + 0 * plans.memory
    mistake(plans, rng)
    assert torch.equal(plans.past[..., ~SLOW_LATENTS], (who + 0 * plans.past)[..., ~SLOW_LATENTS])
    gap = plans.past[:, -1:, :1] - who
    changed = (gap != 0).flatten(1).any(1)
    assert changed.double().mean() == pytest.approx(MISTAKEN, rel=0.5)
    assert torch.equal(plans.memory[changed][..., 0], (who + gap + 0 * plans.memory)[changed][..., 0])
    left = ((plans.target - who) / gap)[changed][..., 0]
    t = (1 + torch.arange(left.shape[1])) / SPRING_FRAMES
    assert left == pytest.approx(((1 + t) * torch.exp(-t)).expand_as(left), abs=1e-4)
    assert torch.equal(plans.target[~changed], (who + 0 * plans.target)[~changed])
