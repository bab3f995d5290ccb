"""The paper preset: published sizes, causality, continuous windows, and a run from data to arrays with tiny widths."""

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
from reactdiff_ros.training.paper.config import PaperConfig, from_dict
from reactdiff_ros.training.paper.drawing import ddim_steps, even_steps, randoms, sample, solve
from reactdiff_ros.training.paper.networks import Features, PaperModel
from reactdiff_ros.training.paper.train import LOG, MODEL, Trainer, load_model, read

WIDTHS = {"va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6}
TINY = PaperConfig(
    **WIDTHS, hidden=16, heads=2, latent=16, window=10, model_channels=8, channel_factors=(1, 2), attention_at=(1,),
    residual_blocks=1, condition=32, sample_steps=4, hop=2, overlap=3, clip_frames=40,
)  # fmt: skip


def test_online_reactions_depend_on_nothing_later_and_on_the_frame_itself() -> None:
    torch.manual_seed(0)
    # Channels in groups of four: the UNet's norm of a single one takes away what the embedding adds to it.
    model = PaperModel(replace(TINY, protocol="online", model_channels=128)).eval()
    for parameter in model.parameters():
        if not parameter.any():  # so that everything reaches the output
            torch.nn.init.normal_(parameter, 0, 0.2)
    video, audio = (torch.randn(1, 31, sum(widths)) for widths in (TINY.video, TINY.audio))
    later = video.clone()
    later[:, 16:] += 2
    drawn = [drawing.draw(model, Features(seen, audio), count=2, seed=5) for seen in (video, later)]
    for x, y in zip(*drawn, strict=True):
        assert torch.equal(x[:, :16], y[:, :16])
        assert (x[:, 16] - y[:, 16]).abs().max() > 1e-5, "more than rounding"


@pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="diffusers is not installed")
def test_samplers_equal_the_reference_schedulers() -> None:
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    schedule = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
    first = DDIMScheduler(**schedule, clip_sample=False, set_alpha_to_one=True, timestep_spacing="leading")
    first.set_timesteps(20)
    assert first.timesteps.tolist() == ddim_steps(1000, 20)
    order = {"solver_order": 2, "algorithm_type": "dpmsolver++", "final_sigmas_type": "zero"}
    second = DPMSolverMultistepScheduler(**schedule, **order)
    second.set_timesteps(timesteps=even_steps(1000, 20))
    mixer = torch.randn(6, 6, generator=torch.Generator().manual_seed(3))
    start = randoms((4, 6), 2, torch.zeros(1))
    for scheduler, solver in ((first, "ddim"), (second, "second_order")):
        x = start
        for step in scheduler.timesteps:
            x = scheduler.step(torch.tanh(x @ mixer), step, x).prev_sample
        ours = solve(solver, lambda y, _: torch.tanh(y @ mixer), start, 1000, 20)
        torch.testing.assert_close(ours, x, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("values", "words"), [
    ({"widht": 3}, "paper.widht"), ({"heads": 3}, "multiples of heads"), ({"batch": 0}, "paper.batch"),
    ({"hop": 50}, "shorter than the window"), ({"protocol": "live"}, "must be 'offline' or 'online'"),
])  # fmt: skip
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


@pytest.mark.parametrize("protocol", ["offline", "online"])
def test_training_and_samples_of_every_clip_from_end_to_end(protocol: str, data: Path, tmp_path: Path) -> None:
    trainer = Trainer(replace(SMALL, protocol=protocol, epochs=3), data, tmp_path / "run", "cpu")
    list(trainer.run())
    lines = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines if line["step"]] == list(range(1, trainer.steps + 1))
    # The same windows and noise at every look: what is learnt shows in three epochs.
    for part, share in (("autoencoder", 0.8), ("diffusion", 0.99)):
        looks = [line["validation"] for line in lines if line["part"] == part and "validation" in line]
        assert looks == sorted(looks, reverse=True), part
        assert looks[2] < share * looks[0], part
    assert read(tmp_path / "run" / MODEL)["validation"] == min(looks)
    model, out = load_model(tmp_path / "run" / MODEL, "cpu"), tmp_path / "arrays"
    assert sample(model, data, "val", out, seed=4, count=3, frames=80) == 8
    attributes, coefficients = np.load(out / "attributes.npy"), np.load(out / "coefficients.npy")
    assert (attributes.shape, coefficients.shape) == ((8, 3, 80, 25), (8, 3, 80, 58))
    assert attributes[0, :, :FRAMES].std(0).max() > 1e-4  # three reactions, not one
    assert (attributes[:, :, FRAMES:] == attributes[:, :, FRAMES - 1 : FRAMES]).all()
    assert (out / "clips.txt").read_text().split() == [s for s, _ in REACT_CLIPS] + [x for _, x in REACT_CLIPS]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(data: Path, tmp_path: Path) -> None:
    whole = Trainer(SMALL, data, tmp_path / "whole", "cpu")
    list(whole.run())
    for stop_after in (3, 5, 6, 99):
        count = iter(range(stop_after))
        resumed = Trainer(SMALL, data, tmp_path / "cut", "cpu")
        if stop_after != 3:
            resumed.resume()
        list(resumed.run(lambda count=count: next(count, None) is None))  # type: ignore[misc]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    with pytest.raises(ReactdiffError, match="other settings"):
        Trainer(replace(SMALL, hop=3), data, tmp_path / "cut", "cpu").resume()
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(ReactdiffError, match=r"not a model of.*other\.pt"):
        load_model(tmp_path / "other.pt", "cpu")
