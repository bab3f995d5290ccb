"""What ships: weights, simulator, evidence and card of one making; its listener and autoencoder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speaker_frames import SLOT, drive, session, shown

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.cli.training import train
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, SMILE
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.perception.speaker import SpeakerPerception
from reactdiff_ros.simulator.dyads import simulate, simulator_hash
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.types import FloatArray, Picture

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "resource" / "models" / "live"


@pytest.fixture(scope="module")
def evidence() -> dict[str, Any]:
    return dict(json.loads((ROOT / "docs" / "evidence.json").read_text(encoding="utf-8")))


def digest() -> str:
    """Of the manifest, which holds the checksum of every other file."""
    return hashlib.sha256((SHIPPED / "manifest.json").read_bytes()).hexdigest()[:12]


def test_the_shipped_weights_were_trained_on_the_simulator_of_this_source() -> None:
    shipped = find_weights("")
    assert shipped.folder == SHIPPED
    assert shipped.digest == digest()
    assert shipped.simulator == simulator_hash()


def test_the_evidence_is_of_the_shipped_weights_on_this_simulator(evidence: dict[str, Any]) -> None:
    assert evidence["weights"]["digest"] == digest()
    assert evidence["weights"]["simulator"] == evidence["simulator"] == simulator_hash()
    measured = {name: settings for name, settings in evidence["settings"].items() if name in evidence["parts"]}
    assert set(measured) == set(evidence["parts"])
    assert {name for name, settings in measured.items() if settings["weights"] != digest()} == set()
    assert {name for name, settings in measured.items() if settings["simulator"] != simulator_hash()} == set()
    shipped = find_weights("").nods
    assert {settings["nods"] for settings in measured.values()} == {None if shipped is None else shipped.digest}


def test_the_card_gives_each_run_with_all_its_options() -> None:
    runs = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))["training"]
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    commands = [line.split() for line in card.splitlines() if line.startswith("reactdiff dev train ")]
    options = {option for parameter in train.params for option in parameter.opts}
    for run, command in zip(runs, commands, strict=True):
        given = {f"--{name.replace('_', '-')}" for name, value in run["settings"].items() if value}
        bounded_by_time = {"--steps"} if "--minutes" in given else set()
        assert (given & options) - bounded_by_time <= set(command)


# The listener: it continues itself, answers, does nothing without reason, plans as recorded


@pytest.fixture(scope="module")
def listener():
    return DiffusionListener(seed=0, config=ListenerConfig(candidates=2))


def test_plans_continue_each_other(listener):
    plans = drive(listener, session(12, smile=lambda t: 0.7 * (t % 4 > 1.5), talk=True))
    face = shown(plans)
    step = np.abs(np.diff(face, axis=0)).max(axis=1)
    first = plans[0].start_ns
    borders = {(p.start_ns - first) // SLOT - 1 for p in plans[1:]}
    border = np.array([i in borders for i in range(len(step))])
    assert np.percentile(step[border], 95) <= max(1.5 * np.percentile(step[~border], 95), 0.03)
    assert step[border].max() < 0.2
    assert step.max() < 0.4  # the onset of a laugh, within a plan


def test_answers_a_smile(listener):
    differences = []
    for seed in range(4):
        smile = shown(drive(listener, session(7, smile=lambda t: 0.65 * (t > 1), talk=True), seed))[:, SMILE].mean(1)
        neutral = shown(drive(listener, session(7, smile=0.0, talk=True), seed))[:, SMILE].mean(1)
        differences.append(smile[50:].mean() - neutral[50:].mean())
        assert smile[:20].mean() < 0.15
    assert np.mean(differences) > 0.15
    assert sorted(differences)[1] > 0.05


def test_no_reaction_without_a_reason(listener):
    for loudness in (-70.0, -12.0):
        faces = [shown(drive(listener, session(8, smile=0.0, loudness=loudness), seed)) for seed in range(3)]
        smiles = [f[:, SMILE].mean() for f in faces]
        # People smile three times a minute of their own accord, and so does a listener that does as people do.
        assert np.mean(smiles) < 0.18
        assert np.mean([np.percentile(f[:, SMILE], 98) for f in faces]) < 0.45


def test_sound_alone_and_pictures_alone(listener):
    blind = drive(listener, session(8, talk=True, camera=False))
    assert blind
    assert all(p.picture_stamp_ns is None and p.sound_stamp_ns is not None for p in blind)
    face = shown(blind)
    assert face[:, 52].std() > 0.003
    assert face[:, SMILE].mean() < 0.2
    deaf = drive(listener, session(6, smile=0.7, microphone=False))
    assert all(p.sound_stamp_ns is None for p in deaf)
    assert shown(deaf)[60:, SMILE].mean() > 0.1


@pytest.mark.parametrize("rate_hz", [10.0, 60.0])
def test_any_picture_rate(listener, rate_hz):
    face = shown(drive(listener, session(6, smile=0.7, talk=True, rate_hz=rate_hz)))
    assert np.isfinite(face).all()
    assert face[60:, SMILE].mean() > 0.1


@pytest.mark.parametrize(
    ("name", "seed", "settings"), [("ordinary", 0, {}), ("guided", 7, {"guidance": 1.5, "candidates": 2})]
)
def test_plans_are_those_that_were_recorded(name, seed, settings):
    recorded = np.load(Path(__file__).parent / "recorded_plans.npz")
    if find_weights("").digest != str(recorded["digest"]):
        pytest.skip("the shipped weights are newer than the recorded plans")
    listener = DiffusionListener(seed=seed, config=ListenerConfig(**settings))
    plans = drive(listener, session(6, smile=lambda t: 0.8 * (2 < t < 4), talk=True), seed)
    expected = recorded[name]
    # The same bits on the machine that recorded them; other processors round otherwise.
    np.testing.assert_allclose(np.stack([p.coefficients for p in plans])[: len(expected), :5], expected, atol=1e-5)


# Recordings of acted emotions, through the real perception


def frames_of(path):
    perception = SpeakerPerception()
    return [
        perception.observe_picture(Picture(10**12 + item.offset_ns, item.bgr))
        for item in MediaClip(path).pictures_and_sound()
        if isinstance(item, ClipPicture)
    ]


def mean_smile(listener, frames, seed):
    """Mean smile of what is shown, from the clip's first plan to its end."""
    return shown(drive(listener, frames, seed))[:, SMILE].mean()


@pytest.mark.clips
def test_smiles_more_at_happy_faces_than_at_neutral_ones(clips):
    listener = DiffusionListener(seed=0)
    faces = {
        kind: [frames_of(clips(f"emotions/dreamtalk_{person}_{kind}.mp4")) for person in ("m030", "w009")]
        for kind in ("happy", "neutral")
    }
    differences = [
        np.mean([mean_smile(listener, f, seed) for f in faces["happy"]])
        - np.mean([mean_smile(listener, f, seed) for f in faces["neutral"]])
        for seed in range(6)
    ]
    assert sum(d >= 0.1 for d in differences) >= 5, differences


# The autoencoder on simulated listeners that it has not met: exact, without delay, in face units


LEAD = 2 * VAE_CONTEXT
"""Frames that encoder and decoder look back, without which they say nothing."""


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(find_weights())


@pytest.fixture(scope="module")
def faces() -> FloatArray:
    return simulate(purpose_seed("validate", 117), 16, 500).listener


def explained(decoded: FloatArray, faces: FloatArray, columns: tuple[int, ...]) -> float:
    """Share of the variance of these coefficients that is there after decoding."""
    true = faces[:, LEAD:, list(columns)]
    error = np.square(decoded[..., list(columns)] - true).sum()
    return float(1 - error / np.square(true - true.mean((0, 1))).sum())


def test_every_group_comes_back_in_the_units_of_a_face(networks: Networks, faces: FloatArray) -> None:
    decoded = networks.decode(networks.latents(faces))
    assert decoded.shape == faces[:, LEAD:].shape
    for group in GROUPS:
        assert explained(decoded, faces, group.coefficients) > 0.95, group.name
        moving = [i for i in group.coefficients if faces[:, LEAD:, i].std() > 0.01]
        spread = decoded[..., moving].std((0, 1)) / faces[:, LEAD:, moving].std((0, 1))
        assert spread.min() > 0.9, group.name
        assert spread.max() < 1.1, group.name
    still = np.zeros((1, LEAD + 20, COEFFICIENT_COUNT), np.float32)
    assert np.abs(networks.decode(networks.latents(still))).max() < 0.1


def test_an_impulse_comes_out_at_its_frame(networks: Networks) -> None:
    still = np.zeros((1, LEAD + 30, COEFFICIENT_COUNT), np.float32)
    at = LEAD + 15
    for name, size in (("mouthSmileLeft", 0.6), ("browInnerUp", 0.6), ("eyeBlinkLeft", 1.0), ("headPitch", 0.1)):
        struck = still.copy()
        struck[0, at, INDEX[name]] = size
        moved = networks.decode(networks.latents(struck)) - networks.decode(networks.latents(still))
        response = np.abs(moved[0, :, INDEX[name]])
        assert response[: at - LEAD].max() < 1e-5, name
        assert response.argmax() == at - LEAD, name
