"""Windows of reaction drawn in torch on a clock.

A window is 50 frames (2 s) of the speaker in and of the listener out, of the `paper` preset and of ours, part by part,
with what both are given. Times do not depend on values, so that the networks of the `paper` preset, which were never
published, are random ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from reactdiff_ros.model.backends.runtime import VAE_CONTEXT
from reactdiff_ros.model.diffusion.latents import ORDER, responses
from reactdiff_ros.model.diffusion.solvers import angles, fitted_multistep
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT, heard_ages
from reactdiff_ros.training.nets import Model
from reactdiff_ros.training.paper.config import PaperConfig
from reactdiff_ros.training.paper.drawing import solve
from reactdiff_ros.training.paper.networks import Features, PaperModel
from tools.speed.reference import WINDOW, Window

Timer = Callable[[], float]
Graph = Callable[[dict[str, Any]], list[Any]]
"""Inputs by name, in the order of the network's arguments -> outputs; all numpy."""


def paper_model(config: PaperConfig) -> PaperModel:
    """The networks of the `paper` preset with random weights."""
    torch.manual_seed(0)
    model: PaperModel = PaperModel(config).eval()
    return model


def paper_inputs(config: PaperConfig, samples: int) -> dict[str, Any]:
    """What a window is drawn from, as arrays of numpy: features of one speaker, `samples` noises, known frames."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32)

    return {
        "video": normal(1, config.window, sum(config.video)), "audio": normal(1, config.window, sum(config.audio)),
        "x": normal(samples, config.window, config.latent), "known": np.zeros((samples, config.window), np.float32),
    }  # fmt: skip


def paper_window(model: PaperModel, timer: Timer, *, compiled: bool = False) -> Window:
    """A window of the `paper` preset in torch. `compiled`: the denoiser through torch.compile, where 99 % of the time
    goes.
    """
    calls: dict[str, Any] = {
        "encode": lambda video, audio: model.encode(Features(video, audio)), "condition": model.condition,
        "denoise": torch.compile(model.denoiser) if compiled else model.denoiser,
        "decode": lambda latents: model.decode(model.range.restored(latents))[0],
    }  # fmt: skip

    def part(call: Any) -> Graph:
        def run(given: dict[str, Any]) -> list[Any]:
            with torch.no_grad():
                return [call(*map(torch.from_numpy, given.values())).numpy()]

        return run

    return graph_window({name: part(call) for name, call in calls.items()}, model.config, timer)


def graph_window(graphs: Mapping[str, Graph], config: PaperConfig, timer: Timer) -> Window:
    """The published way with the parts of `paper.networks.export_parts`: 50 frames at once by DDIM, all samples in one
    batch.
    """

    def draw(steps: int, samples: int) -> dict[str, float]:
        given = paper_inputs(config, samples)
        begin = timer()
        latents = graphs["encode"]({"video": given["video"], "audio": given["audio"]})[0]
        condition = np.repeat(graphs["condition"]({"latents": latents})[0], samples, axis=0)
        encoded = timer()

        def noise_of(x: Any, step: int) -> Any:
            level = np.full(samples, step, dtype=np.int64)
            inputs = {"x": x, "known": given["known"], "steps": level, "condition": condition}
            return graphs["denoise"](inputs)[0]

        drawn = solve("ddim", noise_of, given["x"], config.train_steps, steps)
        sampled = timer()
        graphs["decode"]({"latents": drawn})
        return {"encode": encoded - begin, "steps": sampled - encoded, "decode": timer() - sampled}

    return draw


def our_window(model: Model, timer: Timer, *, compiled: bool = False) -> Window:
    """Ours: the window in stretches of the horizon, the last one shorter, each continuing the one before; the speaker's
    window in one pass of the causal encoder.
    """
    s, vae, denoiser = model.shape, model.vae, model.denoiser
    velocity: Any = torch.compile(denoiser.velocity) if compiled else denoiser.velocity
    weights = torch.from_numpy(responses(vae.feedback.numpy(), s.horizon))
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, WINDOW, FEATURE_COUNT, generator=generator)
    observed = torch.ones(1, WINDOW, STREAM_COUNT)

    def draw(steps: int, samples: int) -> dict[str, float]:
        with torch.no_grad():
            begin = timer()
            ages = heard_ages(s.as_dict())
            tokens = F.pad(model.encoder(features, observed), (0, 0, int(ages[0]) + 1, 0))
            encoded = timer()
            past, memory = torch.zeros(samples, s.past, s.latent), torch.zeros(samples, s.memory, s.latent)
            drawn = [past]
            mask = torch.zeros(samples, 1, s.context)
            for start in range(0, WINDOW, s.horizon):
                heard = tokens[:, start + ages[0] - ages].expand(samples, -1, -1)
                own = torch.cat([memory, past], dim=1)
                context = denoiser.context(heard, own, torch.zeros(samples, s.conditions))

                def at(z: torch.Tensor, angle: float, context: Any = context) -> Any:
                    return velocity(z, torch.full((1, 1), angle), context, mask)

                frames = min(s.horizon, WINDOW - start)
                noise = torch.randn(samples, 1, frames, s.latent, generator=generator)
                weighed = weights[:frames, : ORDER + frames]
                new = vae.emphasis.latents(fitted_multistep(at, noise, angles(steps)), past[:, None, -ORDER:], weighed)
                drawn.append(new[:, 0])
                past = torch.cat([past, new[:, 0]], dim=1)[:, -s.past :]
            sampled = timer()
            vae.decode(torch.cat(drawn, dim=1)[:, s.past - VAE_CONTEXT : s.past + WINDOW])
            return {"encode": encoded - begin, "steps": sampled - encoded, "decode": timer() - sampled}

    return draw
