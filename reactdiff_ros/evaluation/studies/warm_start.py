"""Streams whose plans start from the last plan instead of from noise: the other side of the sweep of samplers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH, bounded
from reactdiff_ros.model.plan.corrections import AROUND, LOOKAHEAD, Nods, continued, guided, in_mood, prompted, sane
from reactdiff_ros.model.plan.planner import OwnPast, faces
from reactdiff_ros.model.plan.sampler import Conditions, NoiseTape, Sampling
from reactdiff_ros.model.plan.solvers import angles
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.streams import heard
from reactdiff_ros.types import FloatArray

LEVEL: Final = 0.9
"""Noise angle in rad at which a plan begins, of pi / 2: what the last plan said for the same frames, noised so far."""
_CHUNK: Final = 64


class WarmStart:
    """Runs listeners with warm starts; else as `model.streams.free_run` with one candidate."""

    def __init__(self, networks: Networks, how: Sampling) -> None:
        self._networks, self._how = networks, replace(how, candidates=1)
        self._warm = [a * LEVEL / (np.pi / 2) for a in angles(how.steps)]

    def run(self, tokens: FloatArray, conditions: Conditions, seeds: NDArray[np.integer[Any]]) -> FloatArray:
        """Streams (N, T, 58) of N listeners to their speakers' (N, T, D + 1) of `speaker_tokens`."""
        parts = []
        for first in range(0, len(seeds), _CHUNK):
            rows = np.arange(first, min(first + _CHUNK, len(seeds)))
            parts.append(self._chunk(tokens[rows], conditions.take(rows), seeds[rows]))
        return np.concatenate(parts)

    def _chunk(self, tokens: FloatArray, conditions: Conditions, seeds: NDArray[np.integer[Any]]) -> FloatArray:
        networks, how = self._networks, self._how
        s = networks.shape
        frames = tokens.shape[1]
        length = min(-(-(how.hop + LOOKAHEAD) // how.block) * how.block, s["horizon"])
        tapes = [NoiseTape(int(seed), s["latent"]) for seed in seeds]
        own = OwnPast(networks.neutral, len(seeds), s["past"])
        nods = None if networks.nods is None else Nods(networks.nods, [int(seed) for seed in seeds])
        planned = np.zeros((len(seeds), 0, s["latent"]), dtype=np.float32)
        out = np.empty((len(seeds), frames, 58), dtype=np.float32)
        for start in range(0, frames, how.hop):
            noise = how.scale * np.stack([tape.frames(start, length) for tape in tapes])
            past = own.latents(start - s["past"], s["past"])
            newest = start - 1 - how.lead - conditions.late
            speaker, missing, mood = heard(tokens, np.arange(len(tokens)), newest, s["speech"])
            told = in_mood(conditions, mood, how.guidance)
            latents = self._draw(speaker, missing, told, past, planned[:, how.hop :], noise)
            drawn = faces(networks, past, latents[:, None])
            shown = continued(drawn, own.shown(start - AROUND, AROUND), own.shown(start, length), how)[:, 0]
            own.add(start, latents, shown)
            planned = latents
            stop = min(start + how.hop, frames)
            out[:, start:stop] = shown[:, : stop - start]
            if nods is not None:
                dip = nods.plan(start, stop - start, how.hop, speaker, missing, told, how.lead)
                out[:, start:stop, HEAD_PITCH] += dip
        return bounded(out)

    def _draw(
        self,
        speaker: FloatArray,
        missing: FloatArray,
        conditions: Conditions,
        past: FloatArray,
        planned: FloatArray,
        noise: FloatArray,
    ) -> FloatArray:
        """Latents (N, length, L) of the frames after `past`, from the last plan (N, n, L) where it reaches."""
        networks, how, s = self._networks, self._how, self._networks.shape
        drawn: list[FloatArray] = []
        for first in range(0, noise.shape[1], how.block):
            block = slice(first, first + how.block)
            z, before = noise[:, block], planned[:, block]
            warm = before.shape[1] == how.block
            if warm:
                clean = networks.drawable(before, past)
                z = (np.cos(LEVEL) * clean + np.sin(LEVEL) * z).astype(np.float32)
            told = prompted(conditions).vector(min(how.lead + first, s["max_lead"] - 1), s["max_lead"])
            new = networks.sample(
                speaker, missing, past, told, z[:, None], steps=how.steps, guidance=guided(conditions, how),
                recall=how.recall, schedule=self._warm if warm else None,
            )  # fmt: skip
            latents = sane(new, networks.neutral)[:, 0]
            drawn.append(latents)
            past = np.concatenate([past, latents], axis=1)[:, -s["past"] :]
        return np.concatenate(drawn, axis=1)
