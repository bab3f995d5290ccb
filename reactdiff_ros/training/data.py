"""Training data: pools of simulated listeners, drawn again every few hundred steps, and cut-outs of them.

Times: frame t of `features` is what is known at t; the listener's arrays carry MARGIN frames before it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT, HEAD_PITCH, INDEX, ROTATION
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT
from reactdiff_ros.model.diffusion.conditions import CONTROL_COUNT, CONTROL_NAMES
from reactdiff_ros.model.diffusion.head_mean import age_weights
from reactdiff_ros.model.diffusion.memory import at_rest, traced
from reactdiff_ros.model.diffusion.sampler import SIDED
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, featurize, heard_ages, withhold
from reactdiff_ros.perception.blendshapes import OBSERVED
from reactdiff_ros.recordings.datasets.dyads import folds, read_dyads
from reactdiff_ros.recordings.datasets.recording import Recording
from reactdiff_ros.simulator.dyads import simulate, styles, unmoved
from reactdiff_ros.simulator.observation import POSE_TRUST, SHOWN, appearance
from reactdiff_ros.simulator.policy import perceive
from reactdiff_ros.simulator.resampled import Recorded
from reactdiff_ros.simulator.seeds import Purpose, purpose_seed
from reactdiff_ros.simulator.speaker import Speakers
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import Temperament
from reactdiff_ros.simulator.voices import VoiceBank, load_bank
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

from .config import Shape, TrainConfig, fold_of
from .nets import STIMULUS_NAMES, TRACED, Encoder, ListenerVae

_SEED = 23


def without_randomisation(speaker: SpeakerBatch, truth: Speakers, contact: FloatArray, seed: int) -> None:
    """Show the face as it truly is, in place: no gain, offset, noise, delay, lost picture or missing coefficient.

    `contact` (B, T) 0..1: whether the speaker looks at the listener. Cameras that are not there stay away, and the
    voices, which are real recordings of synthesised speech, keep their rooms and microphones.
    """
    shown, gaze = appearance((seed, _SEED), truth)
    seen = speaker.camera & truth.present
    confidence = np.zeros(shown.shape[-1], dtype=np.float32)
    for name in SHOWN:
        confidence[INDEX[name]] = OBSERVED[name.removesuffix("Left").removesuffix("Right")]
    confidence[BLENDSHAPE_COUNT:] = POSE_TRUST
    for name in ("face", "mesh", "gaze_observed"):
        getattr(speaker, name)[:] = seen
    speaker.neutral_confidence[:] = seen
    speaker.coefficients[:] = shown * seen[..., None]
    speaker.confidence[:] = confidence * seen[..., None]
    speaker.gaze[:] = np.concatenate([gaze, contact[..., None]], axis=-1) * seen[..., None]


Indices = NDArray[np.integer[Any]]

MARGIN: Final = 24
"""Frames of neutral face before a session, as at run time."""
SALIENT: Final = {
    "smile": 1.0, "brighten": 1.0, "laugh": 1.0, "cue": 1.0, "nod": 0.6, "brow_up": 0.4, "frown": 0.4, "sad": 0.4,
    "doubt": 0.4, "phrase_end": 0.4, "ambivalence": 1.0,
}  # fmt: skip
"""What a speaker does that a listener may answer, and how much that counts."""
SALIENT_FRAMES: Final = 24
"""For how long after it."""
BEFORE_FRAMES: Final = 25
MOVED: Final = 0.1
"""A change of a latent that counts as an answer to ambivalence."""
RISEN: Final = 0.3
"""A change that counts in full."""
DRAWN_BY: Final = ("salience", "controls", "style", "style_given", "real")
"""What plans and conditions are drawn by: it stays on the processor, as do all choices."""


@dataclass(slots=True)
class Streams:
    """W listeners and their speakers over T frames, of a pool or cut out of pools.

    features (W, T, F), observed (W, T, S), listener (W, MARGIN + T, 58), latents and known (W, MARGIN + T, L),
    seen (W, MARGIN + T, 58) which coefficients were measured, controls (W, 6), style and style_given (W, 8),
    real (W,), salience (W, T), stimulus (W, T, STIMULUS_COUNT), 0 of recorded people.
    """

    features: Tensor
    observed: Tensor
    listener: Tensor
    seen: Tensor
    controls: Tensor
    style: Tensor
    style_given: Tensor
    real: Tensor
    salience: Tensor
    stimulus: Tensor
    latents: Tensor
    known: Tensor
    memory: Tensor
    """(W, MARGIN + T, ROWS, L) states of `memory` before each frame."""
    tokens: Tensor
    """(W, T, D) of an encoder that is not trained; else empty. Those of a cut-out begin `reach_back` frames earlier."""


S = TypeVar("S", bound=Streams)


def joined(parts: Sequence[S]) -> S:
    """Several pools or batches of as many frames as one."""
    first = parts[0]
    return replace(first, **{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(first)})


@dataclass(slots=True)
class Pool(Streams):
    """Listeners to draw from.

    labels (W, MARGIN + T, 25), labelled (W, MARGIN + T): attributes that a recording was given, and where they are to
    be learnt from; empty of simulated listeners, who have those of the documented projection.
    """

    labels: Tensor
    labelled: Tensor
    unmoved: Tensor
    """(W, MARGIN + T, 58) the listeners if they did not see ambivalence; empty where there is none."""
    moved: Tensor
    """(W, MARGIN + T) whether ambivalence of the speaker changes the latents; empty where there is none."""

    @classmethod
    def of(cls, **arrays: NDArray[Any]) -> Pool:
        """A pool of arrays, floats as float32; what is not given is empty."""
        given = {name: a.astype(np.float32, copy=False) if a.dtype.kind == "f" else a for name, a in arrays.items()}
        return cls(**{f.name: torch.from_numpy(given.get(f.name, np.zeros(0, np.float32))) for f in fields(cls)})

    def to_latents(self, vae: ListenerVae) -> Pool:
        """The pool with the latents of this autoencoder, on its device but for what is drawn by (`DRAWN_BY`)."""
        device = vae.scale.device
        for f in fields(self):
            if f.name not in DRAWN_BY:
                setattr(self, f.name, getattr(self, f.name).to(device))
        with torch.no_grad():
            self.latents = torch.cat([vae.encode(part) for part in self.listener.split(32)])
            neutral = vae.encode(self.listener.new_zeros(1, 4 * VAE_CONTEXT, COEFFICIENT_COUNT))[0, -1]

        rest = at_rest(neutral.cpu().numpy(), len(self.latents))
        self.memory = torch.from_numpy(traced(self.latents.cpu().numpy(), rest)).to(device)
        if self.unmoved.numel():
            with torch.no_grad():
                unmoved = torch.cat([vae.encode(part) for part in self.unmoved.split(32)])
            self.moved = (self.latents - unmoved).abs().amax(-1) > MOVED
        return self

    def encoded(self, encoder: Encoder) -> Pool:
        """The pool with the tokens of this encoder, which stays as it is."""
        device = encoder.norm.weight.device
        with torch.no_grad():
            pairs = zip(self.features.split(8), self.observed.split(8), strict=True)
            self.tokens = torch.cat([encoder(f.to(device), o.to(device)) for f, o in pairs])
        return self

    def without_head_mean(self, readout: Tensor, shape: Shape) -> Pool:
        """The pool with heads less their mean given the tokens; to be called before `to_latents`.

        Each frame loses the mean that is known one frame before. `readout` (D + 1, 3): see `diffusion.head_mean`.
        """
        mean = (followed(self.tokens, shape) @ readout).to(self.listener.device)
        for listener in (self.listener, self.unmoved):
            if listener.numel():
                listener[:, MARGIN:, ROTATION] -= mean
        return self


def followed(tokens: Tensor, shape: Shape) -> Tensor:
    """What `diffusion.head_mean` reads out (W, T, D + 1) at each frame of tokens (W, T, D), given those before it."""
    ages, frames = heard_ages(shape.as_dict()), tokens.shape[1]
    known = F.pad(tokens, (0, 1), value=1.0)
    out = torch.zeros_like(known)
    for age, weight in zip(ages.tolist(), age_weights(ages).tolist(), strict=True):
        if age + 1 < frames:
            out[:, age + 1 :] += weight * known[:, : frames - age - 1]
    return out


def _eager(seed: int, worlds: int, share: float) -> FloatArray:
    """Controls (worlds, 6) that make a share of the listeners answer and nod much, NaN elsewhere; nobody is delayed.

    An ordinary listener answers one smile in five and nods twice a minute, so most of a pool teaches that nothing
    follows. What follows given the controls is the same whatever their prior is: only how often each is practised
    changes.
    """
    rng = np.random.default_rng([seed, 13])
    out = np.full((worlds, CONTROL_COUNT), np.nan, dtype=np.float32)
    some = rng.random(worlds) < share
    drawn = {
        "responsiveness": rng.uniform(0.5, 1.0, worlds), "attitude": rng.uniform(-0.5, 1.0, worlds),
        "nodding": rng.uniform(-0.5, 1.0, worlds),
    }  # fmt: skip
    for name, values in drawn.items():
        out[:, CONTROL_NAMES.index(name)] = np.where(some, values, np.nan)
    out[:, CONTROL_NAMES.index("delay")] = 0.0
    return out


def simulated_pool(seed: int, config: TrainConfig, bank: VoiceBank | None) -> Pool:
    """A pool of `config.worlds` simulated listeners: the same seed, the same pool."""
    asked = _eager(seed, config.worlds, config.eager_share)
    dyads = simulate(
        seed,
        config.worlds,
        config.world_frames,
        bank,
        prior="wide",
        controls=asked,
        emotions=config.emotions,
        ambivalence=config.ambivalence,
        recorded=recorded_speakers(config.speakers, config.fold) if config.meets_speakers else None,
    )
    if "randomisation" in config.ablate:
        without_randomisation(dyads.speaker, dyads.truth, dyads.stimulus.contact, seed)
    withhold(dyads.speaker, config.ablate)
    features, observed = featurize(dyads.speaker)
    others = {}
    if config.ambivalence:
        blind = unmoved(seed, dyads)
        others["unmoved"] = _shown(blind.coefficients, blind.dips, dyads.temperament)
    listener = _shown(dyads.listener, dyads.dips, dyads.temperament)
    style, style_given = styles(dyads.stimulus, dyads.temperament, seed, config.style_seconds)
    return Pool.of(
        features=features, observed=observed, listener=listener, seen=np.ones(listener.shape, bool),
        known=np.ones((1, 1, 1), bool), controls=dyads.controls, style=style, style_given=style_given,
        real=np.zeros(config.worlds), salience=salience(perceive(dyads.speaker)),
        stimulus=stimulus_and_traces(dyads.stimulus), **others,
    )  # fmt: skip


def outside_fold(found: list[Recording], fold: str) -> list[Recording]:
    """The recordings but for the pairs of the fold "i/n" (`fold_of`), which are held out; "": all of them."""
    if not (fold and found):
        return found
    number, count = fold_of(fold)
    return folds(found, count)[number][0]


@cache
def recorded_speakers(folder: str, fold: str = "") -> Recorded:
    """Everybody in the recorded calls of a folder as a speaker, but for those whom the fold leaves out.

    Calls are as long as the shortest. Raises ReactdiffError: the folder or the fold is wrong.
    """
    found = outside_fold(read_dyads(Path(folder)), fold)
    frames = min(r.frames for r in found)
    smile = [r.speaker.coefficients[0, :frames, INDEX["mouthSmileLeft"]] for r in found]
    contact = [r.speaker.gaze[0, :frames, 2] > 0.5 for r in found]
    return Recorded(np.stack(smile), np.stack(contact))


def _shown(listener: FloatArray, dips: FloatArray, who: Temperament) -> FloatArray:
    """Listeners as the networks learn them (W, MARGIN + T, 58): without nods, which another network makes."""
    listener[..., HEAD_PITCH] -= dips
    return with_margin(_one_sided(listener, who))


def _one_sided(listener: FloatArray, who: Temperament) -> FloatArray:
    """Listeners (W, T, 58) with yaw and roll mirrored where the person turns or tilts the head to the other side than
    the networks' listener, see `sampler.drawn_sides`.
    """
    sides = np.sign(np.stack([who.trait("gaze_pace"), who.trait("side")]))  # as in simulator.movements.Swaying
    out = listener.copy()
    for index, side in zip(SIDED, sides, strict=True):
        out[..., index] *= side[:, None]
    return out


def with_margin(listener: FloatArray) -> FloatArray:
    """Listeners (W, T, 58) with MARGIN frames of neutral face before."""
    return np.asarray(np.pad(listener, ((0, 0), (MARGIN, 0), (0, 0))), np.float32)


def stimulus_and_traces(stimulus: Stimulus) -> FloatArray:
    """(W, T, STIMULUS_COUNT) what the speaker does, and traces of what was done lately."""
    now = [getattr(stimulus, name) for name in STIMULUS_NAMES]
    traces = [_trace(getattr(stimulus, name), seconds) for name, seconds in TRACED]
    return np.asarray(np.stack([*now, *traces], axis=-1), np.float32)


def _trace(values: FloatArray, seconds: float) -> FloatArray:
    """(W, T) followed with a time constant, from 0."""
    keep = np.float32(np.exp(-1 / (REACTION_RATE_HZ * seconds)))
    out, state = np.empty_like(values), np.zeros(len(values), dtype=np.float32)
    for t in range(values.shape[1]):
        state = keep * state + (1 - keep) * values[:, t]
        out[:, t] = state
    return out


def salience(stimulus: Stimulus) -> FloatArray:
    """(W, T) 0..1: the most that the speaker did within the last SALIENT_FRAMES and could be seen or heard to do.

    A third of it is what is there, the rest what has come up within a second: most answers are to a change. Give what
    is perceived, not what is true: plans drawn where an unseen smile was would teach to smile at nothing.
    """
    counts = np.array(list(SALIENT.values()), dtype=np.float32)[:, None, None]
    shown = np.stack([getattr(stimulus, name) for name in SALIENT]) * np.maximum(stimulus.seen, stimulus.heard)
    padded = np.pad(shown, ((0, 0), (0, 0), (BEFORE_FRAMES - 1, 0)), mode="edge")
    least = np.lib.stride_tricks.sliding_window_view(padded, BEFORE_FRAMES, axis=2).min(-1)
    risen = np.minimum((shown - least) / RISEN, 1.0)
    return held((counts * (shown + 2 * risen)).max(0) / 3)


def held(values: FloatArray) -> FloatArray:
    """The largest of the last SALIENT_FRAMES values."""
    padded = np.pad(values, ((0, 0), (SALIENT_FRAMES - 1, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, SALIENT_FRAMES, axis=1)
    return np.asarray(np.clip(windows.max(-1), 0, 1), np.float32)


# --- sequences ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sequences(Streams):
    """B cut-outs of pools: T is the length of a cut-out, and the listener's arrays are longer by a tail."""

    offset: Tensor
    """(B,) frame of the pool at which the cut-out begins; like `DRAWN_BY` on the processor."""


def reach_back(shape: Shape) -> int:
    """Frames before a cut-out whose tokens plans in it may see."""
    return int(heard_ages(shape.as_dict())[0])


def tail(shape: Shape) -> int:
    """Frames of listener after the last frame of speaker."""
    return shape.horizon + shape.max_lead + 1


def cut(pool: Pool, rng: np.random.Generator, rows: Indices, frames: int, shape: Shape) -> Sequences:
    """A random cut-out of each of `rows`; one in eight begins with the session, where nothing came before.

    Where listeners answer ambivalence, every fourth is of a world and a time where one does.
    """
    last = pool.features.shape[1] - frames - tail(shape)
    start = rng.integers(0, last + 1, len(rows))
    start[rng.random(len(rows)) < 0.125] = 0
    if pool.moved.any():
        world, frame = (index.cpu().numpy() for index in torch.nonzero(pool.moved[:, MARGIN:], as_tuple=True))
        some, drawn = np.flatnonzero(rng.random(len(rows)) < 0.25), rng.integers(0, len(world), len(rows))
        rows = rows.copy()
        rows[some] = world[drawn[some]]
        start[some] = np.clip(frame[drawn] - rng.integers(0, frames, len(rows)), 0, last)[some]
    device = pool.features.device
    who, offset = torch.from_numpy(rows), torch.from_numpy(start)
    salience = pool.salience[who[:, None], offset[:, None] + torch.arange(frames)]
    row = who.to(device)[:, None]
    wide = offset.to(device)[:, None] + torch.arange(MARGIN + frames + tail(shape), device=device)
    here = wide[:, :frames]
    latents = pool.latents[row, wide]
    known = pool.known[row, wide] if pool.known.shape[1] > 1 else torch.ones_like(latents, dtype=torch.bool)
    tokens = pool.tokens
    if tokens.numel():
        heard = offset.to(device)[:, None] + torch.arange(-reach_back(shape), frames, device=device)
        tokens = tokens[row, heard.clamp(min=0)]
    return Sequences(
        features=pool.features[row, here], observed=pool.observed[row, here], latents=latents, known=known,
        listener=pool.listener[row, wide], seen=pool.seen[row, wide], controls=pool.controls[who],
        style=pool.style[who], style_given=pool.style_given[who], real=pool.real[who],
        salience=salience, stimulus=pool.stimulus[row, here], memory=pool.memory[row, wide],
        tokens=tokens, offset=offset,
    )  # fmt: skip


def filled(real: Sequences, simulated: Sequences) -> Sequences:
    """`real` with what was not measured filled from the simulated listeners of other speakers.

    Their whole streams, past and future, take the place of what a recording does not show: on the manifold and smooth
    in time, so that the network's inputs look as at run time, but independent of the speaker and of what was measured,
    and without loss, so that nothing can be learnt from them.
    """
    latents = torch.where(real.known, real.latents, simulated.latents)
    listener = torch.where(real.seen, real.listener, simulated.listener)
    memory = torch.where(real.known[:, :, None], real.memory, simulated.memory)
    return replace(real, latents=latents, listener=listener, memory=memory)


def make_pool(config: TrainConfig, purpose: Purpose, number: int, bank: VoiceBank | None = None) -> Pool:
    """The `number`-th pool of a run."""
    voices = bank if bank is not None or not config.bank else load_bank(Path(config.bank))
    return simulated_pool(purpose_seed(purpose, config.seed, number), config, voices)


class Pools:
    """The training pools of a run by number; `config.workers` processes make those that will follow."""

    def __init__(self, config: TrainConfig, first: int = 0, stride: int = 1) -> None:
        """`first` and `stride`: this process's share of the numbers, where several train together."""
        self._config, self._first, self._stride = config, first, stride
        self.bank = load_bank(Path(config.bank)) if config.bank else None
        self._executor: ProcessPoolExecutor | None = None
        self._ahead: dict[int, Future[Pool]] = {}
        if config.workers:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(max_workers=config.workers, mp_context=context)

    def get(self, number: int) -> Pool:
        """The pool of this number: the same whichever process makes it."""
        self._ask_ahead(number)
        ahead = self._ahead.pop(number, None)
        if ahead is not None:
            try:
                return ahead.result()
            except BrokenProcessPool:  # killed, for memory perhaps: go on without them
                self._executor, self._ahead = None, {}
        return make_pool(self._config, "train", self._number(number), self.bank)

    def _ask_ahead(self, number: int) -> None:
        """Have a pool a process made from this number on, and forget earlier ones."""
        self._ahead = {n: future for n, future in self._ahead.items() if n >= number}
        if self._executor is None:
            return
        for n in range(number, number + self._config.workers):
            if n not in self._ahead:
                self._ahead[n] = self._executor.submit(make_pool, self._config, "train", self._number(n))

    def _number(self, number: int) -> int:
        return self._first + number * self._stride

    def close(self) -> None:
        """End the other processes."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
