"""Batched streams on exported graphs with random weights: what the live listener shows, causal, each on its own."""

from dataclasses import fields, replace

import numpy as np
import pytest
from speaker_frames import SLOT, assert_face, drive, frame, voice

from reactdiff_ros.coefficients import BLINK, EYE_LOOK
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.conditions import CONTROL_NAMES
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, from_frame
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.plan.corrections import conditioning
from reactdiff_ros.model.streams import SPEAKERS, free_run, speaker_tokens

FAST = Sampling(steps=2, guidance=1.5, hop=4, lead=0, blend=False)


@pytest.fixture(scope="module")
def networks(random_weights):
    return Networks(find_weights(random_weights))


def speaker_frames(count, seed=0, rise=0.0):
    """A speaker who is there and talks all the time, and smiles slowly up and down: no clear evidence ever."""
    for i in range(count):
        t = i * 0.04
        heard = replace(voice(True, utterance=t), pitch_hz=140 + 20 * np.sin(t))
        yield frame(i * SLOT, 0.3 + rise * i / count + 0.12 * float(np.sin(0.5 * t + seed)), heard)


def batch_of(*speakers):
    rows = [[from_frame(f) for f in frames] for frames in speakers]
    names = [f.name for f in fields(SpeakerBatch)]
    return SpeakerBatch(**{n: np.stack([np.concatenate([getattr(b, n) for b in r]) for r in rows]) for n in names})


@pytest.fixture(scope="module")
def tokens(networks):
    return speaker_tokens(networks, batch_of(*(speaker_frames(100, seed) for seed in range(3))))


def run(networks, tokens, how=FAST, count=4, **more):
    given = {"speaker_of": np.arange(count) % len(tokens), "seeds": np.arange(count), "how": how, **more}
    return free_run(networks, tokens, ordinary(count), **given)


@pytest.mark.parametrize(("candidates", "delay_s"), [(1, 0.0), (3, 0.0), (1, 0.4)])
def test_the_live_listener_fed_frame_by_frame_shows_the_same(networks, random_weights, candidates, delay_s):
    frames = list(speaker_frames(110, rise=0.6))  # to a broad smile
    config = ListenerConfig(
        model_dir=str(random_weights), steps=3, guidance=1.5, candidates=candidates, hop_s=0.16,
        style="natural", greeting_s=0.0, delay_s=delay_s,
    )  # fmt: skip
    listener = DiffusionListener(seed=7, config=config)
    live = np.zeros((len(frames) + 20, 58), dtype=np.float32)
    for plan in drive(listener, frames, 7):
        assert plan.reason == "hop"
        slot = plan.start_ns // SLOT
        live[slot : slot + len(plan.coefficients)] = plan.coefficients
    how = Sampling(steps=3, guidance=1.5, hop=4, lead=0, candidates=candidates)
    batch = free_run(
        networks, speaker_tokens(networks, batch_of(frames)), conditioning(listener._style),
        speaker_of=np.zeros(1, dtype=int), seeds=np.array([7]), how=how, first=1,
    )[0]  # fmt: skip
    compared = [i for i in range(58) if i not in (*EYE_LOOK, *BLINK)]  # those are other layers' work
    assert batch[20:110, compared].std(0).max() > 0.02
    np.testing.assert_allclose(live[20:110, compared], batch[20:110, compared], atol=1e-4)


def test_a_stream_is_its_own_whatever_runs_beside_it_also_in_several_threads(networks, tokens):
    together, again = (run(networks, tokens, count=SPEAKERS + 3, workers=2) for _ in range(2))
    np.testing.assert_array_equal(together, again)
    assert SPEAKERS % 3 == 1
    alone = run(networks, tokens[1:2], count=1, seeds=np.array([SPEAKERS]))
    np.testing.assert_allclose(together[SPEAKERS], alone[0], atol=1e-4)
    assert np.abs(together[0] - together[3]).max() > 0.02, "same speaker, other seed"


def test_streams_are_causal_and_a_reaction_delay_shows_the_speaker_so_much_later(networks, tokens):
    asked = ordinary(2)
    asked.controls[1, CONTROL_NAMES.index("delay")] = 0.4
    other = tokens.copy()
    other[:, 50:] += 1.0
    first, second = (
        free_run(networks, heard, asked, speaker_of=np.zeros(2, dtype=int), seeds=np.full(2, 5), how=FAST)
        for heard in (tokens, other)
    )
    # The first plans that begin 1 and 11 frames after frame 50; a plan uses tokens up to the frame before it.
    assert (first != second).any(-1).argmax(1).tolist() == [52, 64]
    assert np.abs(first[:, 64:] - second[:, 64:]).max() > 1e-4


def test_what_was_shown_before_is_continued(networks, tokens):
    shown = np.zeros((2, 20, 58), dtype=np.float32)
    shown[1, :, 43:45] = 0.9
    face = run(networks, tokens[:1], count=2, seeds=np.zeros(2, dtype=int), shown=shown)
    assert np.abs(face[0, :4] - face[1, :4]).max() > 0.01
    np.testing.assert_allclose(face[0], run(networks, tokens[:1], count=1)[0], atol=1e-4)


@pytest.mark.parametrize(("hop", "block"), [(1, 4), (4, 16), (5, 4), (16, 16)])
def test_any_hop_and_block_give_a_face(networks, tokens, hop, block):
    face = run(networks, tokens[:, :30], how=replace(FAST, hop=hop, block=block, blend=True), count=2)
    assert face.shape == (2, 30, 58)
    assert_face(face)
