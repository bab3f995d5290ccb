"""Plans of N listeners, one after another: `draw_plan` draws one, `Planner` keeps what the next one continues.

A plan reaches `horizon` frames ahead. It is drawn in stretches of `block` frames, later ones given the earlier ones
and older evidence, so that the next plan, which draws the same frames from the same noise tape, differs from this one
by the new evidence alone. A live listener is N = 1; batches and batched streams are N > 1 of the same code.

Shapes: N listeners, K candidates of each, H frames of a plan, L latents, D token width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, ROTATION, bounded
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.diffusion.memory import at_rest, remembered
from reactdiff_ros.model.diffusion.sampler import Conditions, NoiseTape, Sampling, drawn_sides
from reactdiff_ros.model.plan.corrections import (
    CALM,
    LOOKAHEAD,
    Nods,
    bowed,
    calmed,
    continued,
    sane,
    smiled_at,
)
from reactdiff_ros.types import FloatArray

LATE: Final = 8
"""Frames that a live plan has beyond those that are shown, so that the next one may come 0.3 s late."""
_FORGOTTEN: Final = 60 * 25
"""Frames after which nothing of what was shown is remembered."""
_FADE: Final = float(np.exp(-0.04 / 0.2))


def live_frames(how: Sampling, horizon: int) -> int:
    """Frames of a live plan: whole stretches, at most `horizon`."""
    return min(-(-(how.hop + max(LATE, LOOKAHEAD)) // how.block) * how.block, horizon)


@dataclass(frozen=True, slots=True)
class Draft:
    """All that the drawing of one plan of N listeners needs. Nothing in it changes, so another thread may draw it."""

    slot: int
    """Of the first frame."""
    how: Sampling
    speaker: FloatArray
    """(N, S, D) tokens of the ages `Networks.ages`."""
    missing: FloatArray
    """(N, S) 1 where there is no token."""
    conditions: Conditions
    sides: FloatArray
    """(N, 58) of `sampler.drawn_sides`."""
    broad: FloatArray
    """(N,) of `corrections.BroadSmiles`."""
    lead: int | NDArray[np.integer[Any]]
    """Frames between the newest token and `slot`, minus one; of all, or (N,)."""
    past: FloatArray
    """(N, past, L) latents that were planned for the frames before."""
    memory: FloatArray
    """(N, ROWS, L) what they remember of themselves, a state of `memory`."""
    noise: FloatArray
    """(N, K, H, L) of unit variance, H a multiple of `how.block`."""
    last: FloatArray
    """(N, 58) the frame before, as shown."""
    before: FloatArray
    """(N, H, 58) what was planned so far for the same frames."""
    dip: FloatArray
    """(N, H) how far nods bow the head, rad."""


def blank_draft(networks: Networks, how: Sampling, conditions: Conditions, noise: FloatArray) -> Draft:
    """A draft of N listeners to whom nothing was said and who showed nothing; `noise` (N, K, H, L)."""
    s, (count, _, frames, _) = networks.shape, noise.shape

    def zeros(*shape: int) -> FloatArray:
        return np.zeros((count, *shape), dtype=np.float32)

    return Draft(
        slot=0, how=networks.suited(how), speaker=zeros(len(networks.ages), s["width"]),
        missing=zeros(len(networks.ages)) + 1, conditions=conditions, sides=zeros(COEFFICIENT_COUNT) + 1,
        broad=zeros(), lead=1, past=zeros(s["past"], s["latent"]) + networks.neutral,
        memory=at_rest(networks.neutral, count), noise=noise, last=zeros(COEFFICIENT_COUNT),
        before=zeros(frames, COEFFICIENT_COUNT), dip=zeros(frames),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn plan of N listeners, who follow the first of their K candidates."""

    latents: FloatArray
    """(N, K, H, L)."""
    faces: FloatArray
    """(N, K, H, 58) as decoded, with nods, before they are blended and bounded."""
    still: FloatArray
    """(N, K, H, 58) as they continue the last plan, without nods: networks continue these."""
    shown: FloatArray
    """(N, K, H, 58) as they would be shown."""


def draw_plan(networks: Networks, d: Draft) -> Drawn:
    """One plan, from noise to faces. Pure: may run in any thread.

    Symbols of ReactDiff (arXiv 2505.14151): the latent diffusion model draws latents x_0 of the listener from noise
    x_T, given the speaker's fused features s and conditions c; the decoder D makes faces y of them. Not in the paper:
    v-prediction with classifier-free guidance w, v = v(none) + w (v(s) - v(none)) (Ho and Salimans 2022), a
    second-order solver (`solvers`), the listener's own past x_past and memory m, and the `head_mean`. Numbers are those
    of `corrections`.
    """
    how, size = d.how, networks.shape
    count, block, width = len(d.past), how.block, d.noise.shape[-1]
    rows = np.arange(count)
    c = smiled_at(d.conditions, d.broad, how)  # 3
    s, missing, x_past, m, eps = d.speaker, d.missing, d.past, d.memory, d.noise
    w, age = how.guidance, np.broadcast_to(d.lead, count)
    head = min(w, 1.0) * networks.head_mean(s, missing)
    stretches: list[FloatArray] = []
    for t in range(0, eps.shape[2], block):
        x_T = eps[:, :, t : t + block].reshape(len(x_past), -1, block, width)
        c_t = c.vector(np.minimum(age + t, size["max_lead"] - 1), size["max_lead"])
        x_0 = networks.sample(s, missing, x_past, c_t, x_T, memory=m, steps=how.steps, guidance=w, recall=how.recall)
        x_0 = sane(x_0, networks.neutral)  # 4
        stretches.append(x_0.reshape(count, -1, block, width))
        if x_0.shape[1] > 1:  # from here on each candidate continues its own past: N K listeners of one candidate
            each = np.repeat(rows, x_0.shape[1])
            s, missing, x_past, m, c, age = s[each], missing[each], x_past[each], m[each], c.take(each), age[each]
        x_0 = x_0.reshape(len(x_past), -1, width)
        x_past, m = np.concatenate([x_past, x_0], axis=1)[:, -size["past"] :], remembered(m, x_0)
    latents = np.concatenate(stretches, axis=2)
    y = faces(networks, d.past, latents)  # D(x_0), 5
    y[..., ROTATION] += head[:, None, None]
    y *= d.sides[:, None, None]
    still = continued(y, d.last, d.before, how)  # 6
    return Drawn(latents, bowed(y, d.dip), still, bounded(bowed(still, d.dip)))  # 7


def faces(networks: Networks, past: FloatArray, latents: FloatArray) -> FloatArray:
    """Faces (N, K, H, 58) of latents (N, K, H, L) that continue `past` (N, past, L), `calmed` and not bounded."""
    count, candidates = latents.shape[:2]
    context = np.repeat(past[:, -VAE_CONTEXT - CALM + 1 :], candidates, axis=0)
    whole = np.concatenate([context, latents.reshape(len(context), *latents.shape[2:])], axis=1)
    decoded = calmed(networks.decode(whole))
    return decoded.reshape(count, candidates, *decoded.shape[1:])


class OwnPast:
    """What N listeners planned and showed, slot by slot: latents, and coefficients as shown; neutral before the first.

    Args:
        neutral: (L,) latent of the neutral face.
        count: number of listeners.
        keep: frames before a plan that stay known.
    """

    def __init__(self, neutral: FloatArray, count: int, keep: int) -> None:
        self._neutral, self._count, self._keep = neutral, count, keep
        self.clear()

    def clear(self) -> None:
        """Nothing was shown yet."""
        self._first = 0
        self._latents = np.zeros((self._count, 0, len(self._neutral)), dtype=np.float32)
        self._faces = np.zeros((self._count, 0, COEFFICIENT_COUNT), dtype=np.float32)
        self._slot: int | None = None
        self._state = at_rest(self._neutral, self._count)

    def resume(self, draft: Draft) -> None:
        """They all showed what one listener had shown when this was drafted, and planned the same."""
        frames = draft.before.shape[1]
        rows = np.zeros(self._count, dtype=np.int64)
        earlier = np.repeat(draft.last[:, None], self._keep, axis=1)
        ahead = np.broadcast_to(self._neutral, (1, frames, len(self._neutral)))  # not shown: drawn again from now on
        self._latents = np.concatenate([draft.past[:, -self._keep :], ahead], axis=1)[rows]
        self._faces = np.concatenate([earlier, draft.before], axis=1)[rows]
        self._first, self._slot, self._state = draft.slot - self._keep, draft.slot, draft.memory[rows]

    def memory(self, slot: int) -> FloatArray:
        """The state (N, ROWS, L) of `memory` before `slot`; at rest long after the last plan."""
        passed = 0 if self._slot is None else slot - self._slot
        if passed > _FORGOTTEN:
            return at_rest(self._neutral, self._count)
        return remembered(self._state, self.latents(slot - passed, passed)) if passed > 0 else self._state

    def latents(self, slot: int, count: int) -> FloatArray:
        """Latents (N, count, L) of the slots from `slot` on; neutral where nothing is planned."""
        out = np.broadcast_to(self._neutral, (self._count, count, len(self._neutral))).astype(np.float32)
        at, known = self._known(slot, count)
        out[:, known] = self._latents[:, at[known]]
        return out

    def shown(self, slot: int, count: int) -> FloatArray:
        """Coefficients (N, count, 58) of the slots from `slot` on, fading to neutral after the end of the plan."""
        out = np.zeros((self._count, count, COEFFICIENT_COUNT), dtype=np.float32)
        at, known = self._known(slot, count)
        out[:, known] = self._faces[:, at[known]]
        late = at >= self._latents.shape[1]
        if self._latents.shape[1]:
            fade = _FADE ** (at[late] - self._latents.shape[1] + 1.0)
            out[:, late] = self._faces[:, -1:] * fade[:, None].astype(np.float32)
        return out

    def add(self, slot: int, latents: FloatArray, shown: FloatArray) -> None:
        """A new plan takes over at `slot`: latents (N, H, L) and coefficients as shown (N, H, 58)."""
        self._state, self._slot = self.memory(slot), slot
        first = slot - self._keep
        kept, kept_shown = self.latents(first, self._keep), self.shown(first, self._keep)
        self._latents = np.concatenate([kept, latents], axis=1)
        self._faces = np.concatenate([kept_shown, shown], axis=1)
        self._first = first

    def _known(self, slot: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        at = np.arange(count) + (slot - self._first)
        return at, (at >= 0) & (at < self._latents.shape[1])


class Planner:
    """N listeners that plan at the same times.

    Args:
        networks: the exported graphs.
        seeds: (N,) of their noise and sides.
        how: of the sampling; `how.lead` is not used.
    """

    def __init__(self, networks: Networks, seeds: Sequence[int], how: Sampling) -> None:
        self._networks, self._how = networks, networks.suited(how)
        self._tapes = [NoiseTape(seed, networks.shape["latent"]) for seed in seeds]
        self._sides = drawn_sides(seeds)
        self._past = OwnPast(networks.neutral, len(self._tapes), networks.shape["past"])
        self._nods = None if networks.nods is None else Nods(networks.nods, seeds, self._how)

    def set_quality(self, steps: int, candidates: int) -> None:
        """Plan with this many steps and candidates from now on."""
        self._how = replace(self._how, steps=steps, candidates=candidates)

    def forget(self) -> None:
        """They showed a neutral face up to now; the noise goes on."""
        self._past.clear()
        if self._nods is not None:
            self._nods.forget()

    def begin(self, slot: int, shown: FloatArray) -> None:
        """They showed `shown` (N, n, 58) up to `slot`, not what was planned."""
        before = np.repeat(shown[:, :1], VAE_CONTEXT, axis=1)
        known = np.concatenate([before, shown], axis=1) * self._sides[:, None]
        latents = self._networks.latents(known.astype(np.float32))
        self._past.add(slot - shown.shape[1], latents, shown)

    def plan(self, draft: Draft) -> Drawn:
        """The plans of a draft."""
        drawn = draw_plan(self._networks, draft)
        self.finish(draft, drawn)
        return drawn

    def draft(
        self,
        slot: int,
        speaker: FloatArray,
        missing: FloatArray,
        conditions: Conditions,
        *,
        lead: int,
        frames: int,
        broad: FloatArray | None = None,
        all_candidates: bool = False,
    ) -> Draft:
        """Plans of `frames` frames (rounded up to whole stretches) from `slot` on; another comes after `finish`.

        Args:
            slot: the first frame; must not go back.
            speaker: (N, S, D) tokens of the ages `Networks.ages`.
            missing: (N, S) 1 where there is no token.
            conditions: of the N listeners.
            lead: frames between the newest token and `slot`, minus one.
            frames: H, at most the horizon.
            broad: (N,) see `corrections.BroadSmiles`; None: 0.
            all_candidates: draw `Sampling.candidates` plans of each listener, not the first alone, which is followed.
        """
        s, how = self._networks.shape, self._how
        length = min(-(-frames // how.block) * how.block, s["horizon"])
        dip = np.zeros((len(self._tapes), length), dtype=np.float32)
        if self._nods is not None:
            dip = self._nods.plan(slot, length, how.hop, speaker, missing, conditions, lead)
        drawn = range(how.candidates if all_candidates else 1)
        noise = [np.stack([tape.frames(slot, length, number) for number in drawn]) for tape in self._tapes]
        return Draft(
            slot=slot, how=how, speaker=speaker, missing=missing, conditions=conditions, sides=self._sides, lead=lead,
            broad=np.zeros(len(conditions), dtype=np.float32) if broad is None else broad,
            past=self._past.latents(slot - s["past"], s["past"]), memory=self._past.memory(slot), noise=np.stack(noise),
            last=self._past.shown(slot - 1, 1)[:, 0], before=self._past.shown(slot, length), dip=dip,
        )  # fmt: skip

    def finish(self, draft: Draft, drawn: Drawn) -> None:
        """Remember what was drawn of a draft."""
        self._past.add(draft.slot, drawn.latents[:, 0], drawn.still[:, 0])  # nods are no part of the past
