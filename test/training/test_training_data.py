"""Pools of simulated listeners and recorded people: what is cut from them, completed, labelled and left out."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from generated_sets import FACEVERSE_ORDER, REACT_CLIPS, dualtalk, mars, react
from small_run import CONFIG, SHAPE, config, write_dyads

from reactdiff_ros.coefficients import INDEX, ROTATION
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.plan.latents import GROUPS
from reactdiff_ros.model.tokens import STREAMS, SpeakerBatch, blank
from reactdiff_ros.recordings.datasets.dyads import read_dyads
from reactdiff_ros.recordings.datasets.recording import Recording, speaker_of
from reactdiff_ros.recordings.datasets.recordings import Extracted, save
from reactdiff_ros.training.autoencoder import AutoencoderStep, draw_listeners, labels_of, set_scale
from reactdiff_ros.training.config import config_from
from reactdiff_ros.training.data import MARGIN, TWINS, cut, cut_at, filled, joined, simulated_pool, tail
from reactdiff_ros.training.nets import Model
from reactdiff_ros.training.recorded import (
    Completion,
    data_of,
    group_seen,
    known_latents,
    pieces,
    real_pool,
    summary_of,
    training_recordings,
)
from reactdiff_ros.training.run import (
    people_seen,
    read_checkpoint,
    runs_of,
)
from reactdiff_ros.training.train import Trainer

SMILE = next(g for g in GROUPS if g.name == "smile")

HEAD = next(g for g in GROUPS if g.name == "head")


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


def test_the_same_seed_makes_the_same_pool(pool) -> None:
    again = simulated_pool(3, CONFIG, None)
    assert torch.equal(again.features, pool.features)
    assert torch.equal(again.twins, pool.twins)
    assert not torch.equal(simulated_pool(4, CONFIG, None).listener, pool.listener)


def test_a_pool_begins_with_a_neutral_face_and_twins_differ(pool) -> None:
    assert pool.listener.shape == (6, MARGIN + 150, 58)
    assert pool.listener[:, :MARGIN].abs().max() == 0
    assert pool.twins.shape == (4, TWINS, MARGIN + 150, 58)
    assert torch.equal(pool.twins[:, 0], pool.listener[:4])
    assert not torch.equal(pool.twins[:, 1], pool.twins[:, 2])
    assert 0 < pool.salience.mean() < 1


def test_cut_outs_are_the_pool_at_their_offset(pool) -> None:
    rows, start = np.array([1, 2]), np.array([0, 30])
    s = cut_at(pool, rows, start, 50, SHAPE)
    assert torch.equal(s.features[1], pool.features[2, 30:80])
    assert torch.equal(s.latents[1], pool.latents[2, 30 : 30 + MARGIN + 50 + tail(SHAPE)])
    whole = joined([s, cut(pool, np.random.default_rng(0), np.array([4]), 50, SHAPE)])
    assert whole.row.tolist() == [1, 2, 4]


@pytest.mark.parametrize(("part", "streams"), [("voice", {"mfcc", "prosody"}), ("face", {"expression", "affect"})])
def test_an_ablated_part_is_unobserved(part: str, streams: set[str]) -> None:
    pool = simulated_pool(3, config(ablate=(part,)), None)
    for i, (name, _, _) in enumerate(STREAMS):
        if name in streams:
            assert pool.observed[..., i].max() == 0
        elif name not in {"pose_gaze"}:
            assert pool.observed[..., i].max() == 1


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


def test_latents_after_a_gap_are_not_trusted() -> None:
    seen = np.zeros((1, 40, 58), dtype=bool)
    seen[..., list(SMILE.coefficients)] = True
    seen[:, 20] = False
    known = known_latents(seen)[0, :, SMILE.latents.start]
    assert known[:20].all()
    assert not known[20:27].any()
    assert known[27:].all()


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


LABELS = np.concatenate([np.full(15, 0.9), [-0.8, 0.8], np.eye(8)[3]]).astype(np.float32)


@pytest.fixture(scope="module")
def eight_worlds():
    return simulated_pool(9, config(worlds=8, roll_worlds=0), None)


def person(pool, world: int, labels: np.ndarray | None = LABELS) -> Recording:
    """A recording of what a simulated listener did, all of it measured, with labels that no projection would give."""
    listener = pool.listener[world, MARGIN:].numpy()
    frames = len(listener)
    speaker = SpeakerBatch(**{f.name: getattr(blank(frames), f.name)[None] for f in fields(SpeakerBatch)})
    return Recording(
        source="made", pair=f"p{world}", session="1", role="A", speaker=speaker, listener=listener,
        observed=np.ones(58, dtype=bool), attributes=None if labels is None else np.tile(labels, (frames, 1)),
    )  # fmt: skip


def people_of(pool, *recordings: Recording):
    return real_pool(recordings, Completion(pool.listener.numpy()), 0)


def trained(pool, real, steps: int) -> Model:
    torch.manual_seed(0)
    model = Model(SHAPE)
    set_scale(model.vae, pool.listener)
    step, rng = AutoencoderStep(model.vae), np.random.default_rng(0)
    for i in range(steps):
        step(*draw_listeners(pool, real, rng), 0.0, i)
    return model


def guesses(model: Model, pool) -> np.ndarray:
    with torch.no_grad():
        return model.vae.attributes_raw(model.vae.posterior(pool.listener)[0])[:, MARGIN:].mean((0, 1)).numpy()


def test_a_labelled_recording_moves_the_head_towards_its_labels(eight_worlds) -> None:
    labelled = people_of(eight_worlds, person(eight_worlds, 0), person(eight_worlds, 1))
    without = people_of(eight_worlds, person(eight_worlds, 0, None), person(eight_worlds, 1, None))
    assert labelled.labelled[:, MARGIN:].all()
    assert not labelled.labelled[:, :MARGIN].any()
    assert not without.labelled.any()
    with_labels, projected = (guesses(trained(eight_worlds, real, 80), eight_worlds) for real in (labelled, without))
    moved, apart = with_labels - projected, LABELS - labels_of(eight_worlds.listener).mean((0, 1)).numpy()
    clear = np.abs(apart) > 0.3
    assert clear.sum() > 10
    assert (moved * np.sign(apart))[clear].min() > 0.03


def test_labels_of_a_face_that_was_seen_in_part_are_not_learnt(eight_worlds) -> None:
    """Of a head alone, or while the mouth is lost, a label of a smile would be learnt for a neutral face."""
    whole = person(eight_worlds, 0)
    head = replace(whole, observed=np.arange(58) >= 52)
    assert not people_of(eight_worlds, head).labelled.any()
    observed = whole.observed.copy()
    observed[60:70] = False
    flags = people_of(eight_worlds, replace(whole, observed=observed)).labelled[0, MARGIN:]
    assert flags[:58].all()
    assert not flags[58:72].any()
    assert flags[90:].all()


LONG, SHORT = 50 + tail(SHAPE) + 1, 50


def write_recordings(folder: Path, *frames: int, alone: int = 0) -> Path:
    """Files of `reactdiff extract`: one of each length with a listener, and some without."""
    rng = np.random.default_rng(0)
    for number, length in enumerate([*frames, *[LONG] * alone]):
        values = rng.uniform(0, 0.5, (length, 58)).astype(np.float32)
        listens = number < len(frames)
        speaker = speaker_of(length, coefficients=values, observed=np.ones(58, bool))
        made = Extracted(
            f"p{number}", "1", "b", speaker, np.arange(length, dtype=np.int64),
            values if listens else None, np.ones((length, 58), bool) if listens else None,
        )  # fmt: skip
        save(folder / f"{number}.npz", made)
    return folder


def test_what_is_left_out_is_told_beside_what_is_used(tmp_path: Path) -> None:
    used = training_recordings(config(recordings=str(write_recordings(tmp_path, LONG, SHORT, LONG, alone=3))))
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


VOICE = next(i for i, (name, _, _) in enumerate(STREAMS) if name == "mfcc")

SMILE, HEAD = (next(g for g in GROUPS if g.name == name) for name in ("smile", "head"))


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


def settings(roots, names, kind: str, **changes):
    given = {"data": (f"{kind}:{roots[kind]}",), "expression_names": "" if kind == "dualtalk" else names}
    return config(**{**given, "steps": 3, "vae_steps": 3, "real_share": 0.6, **changes})


def heard(samples: np.ndarray, rate_hz: int, frames: int) -> dict[str, np.ndarray]:
    return {"microphone": np.ones(frames, dtype=bool)}


@pytest.mark.parametrize("kind", ["react", "mars", "dualtalk"])
def test_a_run_learns_from_each_kind(roots, names, kind: str, tmp_path) -> None:
    chosen = settings(roots, names, kind)
    trainer = Trainer(chosen, tmp_path, voice_of=heard)
    roles = {r.role for r in trainer.recordings}
    assert len(roles) > 1  # both people listen
    assert {r.names["split"] for r in trainer.recordings} == {"train"}
    list(trainer.run())
    real = trainer._recorded()
    assert trainer.step == 3
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


def test_without_names_the_head_is_seen_and_no_label_is_learnt(roots, tmp_path) -> None:
    trainer = Trainer(config(data=(f"react:{roots['react']}",)), tmp_path)
    assert trainer.recordings[0].attributes is not None
    real = trainer._recorded()
    assert not real.labelled.any()
    assert not real.seen[..., INDEX["mouthSmileLeft"]].any()
    assert real.seen[:, MARGIN:, ROTATION].all()
    assert not real.observed[..., VOICE].any()  # nobody made a voice of the sound


def test_a_style_is_given_only_where_it_is_known_who_is_who(roots, names, tmp_path) -> None:
    """NoXI's first conversation has two clips of the same people; sessions of one day of MARS may be of anybody."""
    for kind, some in (("react", True), ("mars", False), ("dualtalk", False)):
        real = Trainer(settings(roots, names, kind, frames=30), tmp_path)._recorded()
        assert bool(real.style_given.any()) == some


def test_sound_is_not_read_where_it_is_not_wanted(roots, names) -> None:
    def never(samples: np.ndarray, rate_hz: int, frames: int) -> dict[str, np.ndarray]:
        raise AssertionError

    for changes in ({"sound": False}, {"ablate": ("voice",)}):
        assert training_recordings(settings(roots, names, "mars", **changes), never)
    with pytest.raises(AssertionError):
        training_recordings(settings(roots, names, "mars"), never)


@pytest.mark.parametrize("text", ["react", "react:", "noxi:data", ":data"])
def test_what_is_no_data_set_is_a_sentence(text: str) -> None:
    with pytest.raises(ReactdiffError, match="a data set is KIND:DIR"):
        config(data=(text,))


def test_names_without_a_set_of_faceverse_are_refused() -> None:
    assert data_of("dualtalk:a:b") == ("dualtalk", Path("a:b"))
    with pytest.raises(ReactdiffError, match="no data set has them"):
        config(data=("dualtalk:data",), expression_names="names.txt")
