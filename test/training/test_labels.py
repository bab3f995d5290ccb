"""Attributes that a recording was labelled with: learnt from where they are, and nowhere else."""

from dataclasses import fields, replace

import numpy as np
import pytest
from small_run import SHAPE, config

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")

from reactdiff_ros.model.tokens import SpeakerBatch, blank  # noqa: E402
from reactdiff_ros.recordings.datasets.recording import ATTRIBUTE_COUNT, Recording  # noqa: E402
from reactdiff_ros.training.autoencoder import AutoencoderStep, draw_listeners, labels_of, set_scale  # noqa: E402
from reactdiff_ros.training.completion import Completion  # noqa: E402
from reactdiff_ros.training.data import MARGIN, simulated_pool  # noqa: E402
from reactdiff_ros.training.nets import Model  # noqa: E402
from reactdiff_ros.training.recorded import pieces, real_pool  # noqa: E402

LABELS = np.concatenate([np.full(15, 0.9), [-0.8, 0.8], np.eye(8)[3]]).astype(np.float32)


@pytest.fixture(scope="module")
def pool():
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


def test_a_labelled_recording_moves_the_head_towards_its_labels(pool) -> None:
    labelled = people_of(pool, person(pool, 0), person(pool, 1))
    without = people_of(pool, person(pool, 0, None), person(pool, 1, None))
    assert labelled.labelled[:, MARGIN:].all()
    assert not labelled.labelled[:, :MARGIN].any()
    assert not without.labelled.any()
    with_labels, projected = (guesses(trained(pool, real, 80), pool) for real in (labelled, without))
    moved, apart = with_labels - projected, LABELS - labels_of(pool.listener).mean((0, 1)).numpy()
    clear = np.abs(apart) > 0.3
    assert clear.sum() > 10
    assert (moved * np.sign(apart))[clear].min() > 0.03


def test_what_stands_where_nobody_labelled_is_never_looked_at(pool) -> None:
    real = people_of(pool, person(pool, 0, None), person(pool, 1, None))
    garbage = replace(real, labels=torch.full_like(real.labels, 5.0))
    one, other = trained(pool, real, 5), trained(pool, garbage, 5)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_labels_of_a_face_that_was_seen_in_part_are_not_learnt(pool) -> None:
    """Of a head alone, or while the mouth is lost, a label of a smile would be learnt for a neutral face."""
    whole = person(pool, 0)
    head = replace(whole, observed=np.arange(58) >= 52)
    assert not people_of(pool, head).labelled.any()
    observed = whole.observed.copy()
    observed[60:70] = False
    flags = people_of(pool, replace(whole, observed=observed)).labelled[0, MARGIN:]
    assert flags[:58].all()
    assert not flags[58:72].any()
    assert flags[90:].all()


def test_labels_stay_beside_their_frames(pool) -> None:
    whole = person(pool, 0)
    frames = whole.frames
    counted = np.arange(frames, dtype=np.float32)[:, None] * np.ones(ATTRIBUTE_COUNT, dtype=np.float32)
    cut = pieces([replace(whole, attributes=counted), half_of(person(pool, 1, None))], 50)
    real = people_of(pool, *cut)
    assert [r.frames for r in cut] == [frames // 2] * 3
    assert torch.equal(real.labels[0, MARGIN:, 0], torch.arange(frames // 2))
    assert real.labels[1, MARGIN, 7] == frames // 2
    assert real.labelled[:, MARGIN:].all(1).tolist() == [True, True, False]


def half_of(r: Recording) -> Recording:
    half = r.frames // 2
    speaker = SpeakerBatch(**{f.name: getattr(r.speaker, f.name)[:, :half] for f in fields(SpeakerBatch)})
    return replace(r, speaker=speaker, listener=r.listener[:half], observed=r.observed[:half])
