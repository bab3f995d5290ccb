"""Pools, recorded people beside simulated ones, and what is told about them."""

from dataclasses import fields

import numpy as np
import pytest
from small_run import CONFIG, SHAPE, config, write_dyads

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")

from reactdiff_ros.coefficients import INDEX  # noqa: E402
from reactdiff_ros.errors import ReactdiffError  # noqa: E402
from reactdiff_ros.model.plan.latents import GROUPS  # noqa: E402
from reactdiff_ros.model.tokens import STREAMS, SpeakerBatch, blank  # noqa: E402
from reactdiff_ros.recordings.datasets.dyads import read_dyads  # noqa: E402
from reactdiff_ros.recordings.datasets.recording import Recording  # noqa: E402
from reactdiff_ros.training.completion import Completion  # noqa: E402
from reactdiff_ros.training.data import MARGIN, TWINS, cut, cut_at, filled, joined, simulated_pool, tail  # noqa: E402
from reactdiff_ros.training.nets import Model  # noqa: E402
from reactdiff_ros.training.recorded import (  # noqa: E402
    group_seen,
    known_latents,
    pieces,
    real_pool,
    training_recordings,
)

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


def test_without_randomisation_the_face_is_the_true_one(pool) -> None:
    exact = simulated_pool(3, config(ablate=("randomisation",)), None)
    assert torch.equal(exact.listener, pool.listener)
    steps = [p.features[..., :20][p.observed[..., 0] > 0].diff(dim=0).abs().mean() for p in (exact, pool)]
    assert steps[0] < 0.8 * steps[1]


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


def smiling(pair: str, shown: list[str], rng: np.random.Generator, lost: slice = slice(0, 0)) -> Recording:
    """Somebody who smiles with everything that goes with it, of which a recording shows some, and not all the time."""
    listener = np.zeros((200, 58), dtype=np.float32)
    listener[:, list(SMILE.coefficients)] = held_smile(rng)[:, None]
    observed = np.isin(np.arange(58), [INDEX[name] for name in shown])[None].repeat(200, 0)
    observed[lost, INDEX[shown[-1]]] = False
    speaker = SpeakerBatch(**{f.name: getattr(blank(200), f.name)[None] for f in fields(SpeakerBatch)})
    return Recording(
        source="made", pair=pair, session="1", role="A", speaker=speaker,
        listener=np.where(observed, listener, 0).astype(np.float32), observed=observed,
    )  # fmt: skip


def held_smile(rng: np.random.Generator) -> np.ndarray:
    return np.repeat(rng.uniform(0.2, 0.9, 10), 20).astype(np.float32)


def test_sources_that_show_different_parts_of_a_group_are_each_completed() -> None:
    """One lab measures the left half of a smile, another the right, a third loses one for a while: all are whole."""
    rng = np.random.default_rng(0)
    simulated = np.zeros((500, 58), dtype=np.float32)
    simulated[:, list(SMILE.coefficients)] = rng.random((500, 1))
    left, right = "mouthSmileLeft", "mouthSmileRight"
    people = [
        smiling("a", [left], rng), smiling("b", [right], rng), smiling("c", [left, right], rng, slice(50, 120)),
    ]  # fmt: skip
    made = real_pool(people, Completion(simulated), 0)
    smiles = made.listener[:, MARGIN:, list(SMILE.coefficients)]
    assert made.known[..., SMILE.latents].all()
    torch.testing.assert_close(smiles, smiles.amax(-1, keepdim=True).expand_as(smiles), atol=1e-5, rtol=0)
    assert smiles.amin() > 0.15
    seen = made.seen[:, MARGIN:]
    assert seen[0, :, INDEX[left]].all()
    assert not seen[0, :, INDEX[right]].any()
    assert not seen[2, 48:122, INDEX[right]].any()  # smoothing mixed the gap in for two frames on either side
    assert seen[2, 122:, INDEX[right]].all()


def test_a_completed_head_keeps_the_signs_that_a_head_has() -> None:
    rng = np.random.default_rng(0)
    simulated = np.zeros((500, 58), dtype=np.float32)
    simulated[:, INDEX["headPitch"]] = rng.uniform(-0.2, 0.2, 500)
    simulated[:, INDEX["headZ"]] = -0.1 * simulated[:, INDEX["headPitch"]]
    shown = simulated * (np.arange(58) == INDEX["headPitch"])
    seen = np.broadcast_to(np.isin(np.arange(58), range(52, 55)), shown.shape)
    completed = Completion(simulated)(shown, seen)
    np.testing.assert_allclose(completed[:, INDEX["headZ"]], simulated[:, INDEX["headZ"]], atol=1e-5)


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
