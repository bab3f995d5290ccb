"""The paper preset: published sizes, causality, continuous windows, and a run from data to arrays with tiny widths."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generated_sets import REACT_CLIPS, react, react_features

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.training.paper import drawing
from reactdiff_ros.training.paper.config import PaperConfig, Protocol, from_dict
from reactdiff_ros.training.paper.data import Batch
from reactdiff_ros.training.paper.drawing import ddim_steps, even_steps, randoms, sample, solve
from reactdiff_ros.training.paper.networks import Features, PaperModel, count_parameters
from reactdiff_ros.training.paper.train import LOG, MODEL, Trainer, diffusion_loss, load_model, read

WIDTHS = {"va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6}
TINY = PaperConfig(
    **WIDTHS, hidden=16, heads=2, latent=16, window=10, model_channels=8, channel_factors=(1, 2), attention_at=(1,),
    residual_blocks=1, condition=32, sample_steps=4, hop=2, overlap=3, clip_frames=40,
)  # fmt: skip


def model_of(protocol: Protocol, seed: int = 0, **changes: Any) -> PaperModel:
    """A tiny model whose zero-initialised layers are made random, so that everything reaches the output."""
    torch.manual_seed(seed)
    model = PaperModel(replace(TINY, protocol=protocol, **changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.2)
    return model


def features_of(frames: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    video = rng.standard_normal((1, frames, sum(TINY.video)), dtype=np.float32)
    audio = rng.standard_normal((1, frames, sum(TINY.audio)), dtype=np.float32)
    return Features(torch.from_numpy(video), torch.from_numpy(audio))


@pytest.mark.slow
def test_the_published_sizes_within_two_percent() -> None:
    counts = count_parameters(PaperConfig())
    assert counts["total"] == pytest.approx(542e6, rel=0.02)  # as published
    assert counts["multi_modality"] == pytest.approx(121e6, rel=0.02)
    assert counts["denoiser"] == pytest.approx(404e6, rel=0.02)
    assert count_parameters(replace(PaperConfig(), protocol="online")) == counts


def batch_of(frames: int, clips: int = 2) -> Batch:
    draw = torch.Generator().manual_seed(5)
    features = [features_of(frames, seed) for seed in range(clips)]
    both = Features(*(torch.cat([getattr(f, name) for f in features]) for name in ("video", "audio")))
    face, attributes = (torch.randn(clips, frames, width, generator=draw) for width in (58, 25))
    return Batch(both, both, face, attributes)


@pytest.mark.parametrize("protocol", ["offline", "online"])
def test_the_diffusion_s_loss_is_l1_of_the_noise(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = model_of(protocol), batch_of(40, clips=8)
    # Of standard normal noise: mean |n| = .798 and mean n^2 = 1; mean |n - 3| = 3.0 and mean (n - 3)^2 = 10.
    for value, mean in ((0.0, 0.798), (3.0, 3.0)):
        monkeypatch.setattr(model.denoiser, "forward", lambda x, *_, value=value: torch.full_like(x, value))
        loss, parts = diffusion_loss(model, batch, np.random.default_rng(1))
        assert parts["noise"] == pytest.approx(mean, rel=0.05)
        assert float(loss) == pytest.approx(model.config.noise_weight * parts["noise"], rel=1e-5)


def test_online_reactions_depend_on_nothing_later_and_on_the_frame_itself_without_a_shift() -> None:
    # Channels in groups of four: the UNet's norm of a single one takes away what the embedding adds to it.
    model = model_of("online", model_channels=128)
    frames, changed = 31, 16
    first, second = features_of(frames), features_of(frames)
    second.video[:, changed:] += 2
    for x, y in zip(
        drawing.draw(model, first, count=2, seed=5), drawing.draw(model, second, count=2, seed=5), strict=True
    ):
        assert torch.equal(x[:, :changed], y[:, :changed])
        assert (x[:, changed] - y[:, changed]).abs().max() > 1e-5, "more than rounding"
    # The published protocol would be one window late.
    assert model.config.late == model.config.hop - 1 < model.config.window


@pytest.mark.parametrize("protocol", ["offline", "online"])
def test_a_window_goes_on_from_the_one_before(protocol: Protocol) -> None:
    model = model_of(protocol)
    past = torch.randn(2, 10, 16, generator=torch.Generator().manual_seed(1))
    known = drawing.known_rows(2, torch.tensor([model.config.known] * 2), 10)
    speaker = torch.zeros(2, 10, 16)
    drawn = drawing.draw_window(model, past, known, speaker, seed=3)
    kept_rows = known.bool()
    assert torch.equal(drawn[kept_rows], past[kept_rows])
    other = drawing.draw_window(model, past + 1, known, speaker, seed=3)
    assert not torch.allclose(drawn[~kept_rows], other[~kept_rows])
    free = drawing.draw_window(model, past + 1, torch.zeros_like(known), speaker, seed=3)
    assert torch.equal(free, drawing.draw_window(model, past, torch.zeros_like(known), speaker, seed=3))


@pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="diffusers is not installed")
def test_samplers_equal_the_reference_schedulers() -> None:
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    schedule = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
    first = DDIMScheduler(**schedule, clip_sample=False, set_alpha_to_one=True, timestep_spacing="leading")
    first.set_timesteps(20)
    assert first.timesteps.tolist() == ddim_steps(1000, 20)
    second = DPMSolverMultistepScheduler(
        **schedule, solver_order=2, algorithm_type="dpmsolver++", final_sigmas_type="zero"
    )
    second.set_timesteps(timesteps=even_steps(1000, 20))
    mixer = torch.randn(6, 6, generator=torch.Generator().manual_seed(3))
    start = randoms((4, 6), 2, torch.zeros(1))
    for scheduler, solver in ((first, "ddim"), (second, "second_order")):
        x = start
        for step in scheduler.timesteps:
            x = scheduler.step(torch.tanh(x @ mixer), step, x).prev_sample
        ours = solve(solver, lambda y, _: torch.tanh(y @ mixer), start, 1000, 20)
        torch.testing.assert_close(ours, x, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"widht": 3}, "paper.widht"),
        ({"heads": 3}, "multiples of heads"),
        ({"latent": 20}, "divisible by 2"),
        ({"hop": 50}, "shorter than the window"),
        ({"protocol": "live"}, "must be 'offline' or 'online'"),
        ({"batch": 0}, "paper.batch"),
        ({"epochs": "many"}, "paper.epochs"),
        ({"clip_frames": 20}, "at least one window"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_dict(values)


FRAMES = 60
SMALL = replace(
    TINY, model_channels=16, condition=64, sample_steps=3, hop=5, batch=4, epochs=2, validate_every=1,
    autoencoder_rate=3e-3, diffusion_rate=2e-3, average=0.99,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set without a test split: nothing of training may ask for one."""
    root = tmp_path_factory.mktemp("react")
    react(root, frames=FRAMES, splits=("train", "val"), sound=False)
    return react_features(root, WIDTHS, splits=("train", "val"), frames=FRAMES)


def trained(data: Path, folder: Path, **changes: Any) -> Trainer:
    trainer = Trainer(replace(SMALL, **changes), data, folder, "cpu")
    for _ in trainer.run():
        pass
    return trainer


@pytest.mark.parametrize("protocol", ["offline", "online"])
def test_training_and_samples_of_every_clip_from_end_to_end(protocol: str, data: Path, tmp_path: Path) -> None:
    trainer = trained(data, tmp_path / "run", protocol=protocol, epochs=3)
    assert not (data / "test").exists()
    lines = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines if line["step"]] == list(range(1, trainer.steps + 1))
    # The same windows and noise at every look: what is learnt shows in three epochs.
    for part, share in (("autoencoder", 0.8), ("diffusion", 0.99)):
        looks = [line["validation"] for line in lines if line["part"] == part and "validation" in line]
        assert len(looks) == 3
        assert looks[2] < looks[1] < looks[0], part
        assert looks[2] < share * looks[0], part
    best = min(line["validation"] for line in lines if line["part"] == "diffusion" and "validation" in line)
    assert read(tmp_path / "run" / MODEL)["validation"] == best

    model = load_model(tmp_path / "run" / MODEL, "cpu")
    out = tmp_path / "arrays"
    assert sample(model, data, "val", out, seed=4, count=3, frames=80) == 8
    attributes, coefficients = np.load(out / "attributes.npy"), np.load(out / "coefficients.npy")
    assert attributes.shape == (2 * len(REACT_CLIPS), 3, 80, 25)
    assert coefficients.shape == (2 * len(REACT_CLIPS), 3, 80, 58)
    assert np.isfinite(attributes).all()
    assert attributes[0, :, :FRAMES].std(0).max() > 1e-4  # three reactions, not one
    last = attributes[:, :, FRAMES - 1 : FRAMES]
    np.testing.assert_array_equal(attributes[:, :, FRAMES:], np.repeat(last, 80 - FRAMES, 2))
    assert (out / "clips.txt").read_text().split() == [s for s, _ in REACT_CLIPS] + [x for _, x in REACT_CLIPS]
    assert not list(out.glob("*.part"))


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(data: Path, tmp_path: Path) -> None:
    whole = trained(data, tmp_path / "whole")
    for stop_after in (3, 5, 6, 99):
        count = iter(range(stop_after))
        resumed = Trainer(SMALL, data, tmp_path / "cut", "cpu")
        if stop_after != 3:
            resumed.resume()
        for _ in resumed.run(lambda count=count: next(count, None) is None):  # type: ignore[misc]
            pass
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    with pytest.raises(ReactdiffError, match="other settings"):
        Trainer(replace(SMALL, hop=3), data, tmp_path / "cut", "cpu").resume()


def test_files_that_are_no_models_are_sentences(tmp_path: Path) -> None:
    for content, words in ((b"", "cannot be read"), (None, "there is no checkpoint")):
        path = tmp_path / f"{words}.pt"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ReactdiffError, match=words):
            load_model(path, "cpu")
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(ReactdiffError, match="not a model of the paper preset"):
        load_model(tmp_path / "other.pt", "cpu")
