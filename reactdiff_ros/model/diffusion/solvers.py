"""Solvers of the probability-flow ODE of a diffusion, as functions without state.

Trigonometric path: z(a) = cos(a) x + sin(a) e with angle a from pi/2 (noise e) to 0 (clean x); the network predicts
the velocity v = dz/da = cos(a) e - sin(a) x (v-prediction, Salimans and Ho 2022), so that x = cos(a) z - sin(a) v.
Every solver takes one evaluation an angle and ends with the clean estimate at the last angle. They work on numpy
arrays and torch tensors alike.

Why not simply DDIM: it is of first order, and a few of its steps leave a fraction of the spread even with a perfect
network (the 8 in use: about .63 of a Gaussian's variance). `fitted_multistep` keeps the mean exactly and a unit
Gaussian's variance; what narrower and wider ones keep depends on `angles`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, TypeVar, cast

import numpy as np

Array = TypeVar("Array", bound=Any)
Velocity = Callable[[Array, float], Array]

_SCHEDULES: Final = {
    1: (math.pi / 2,),
    2: (math.pi / 2, 0.3775),
    3: (math.pi / 2, 0.7876, 0.1267),
    4: (math.pi / 2, 0.9411, 0.2721, 0.0800),
    5: (math.pi / 2, 1.0302, 0.3716, 0.1554, 0.0413),
    6: (math.pi / 2, 1.0673, 0.4018, 0.2183, 0.1072, 0.0234),
    8: (math.pi / 2, 1.546, 1.4, 1.13, 0.8, 0.44, 0.16, 0.025),
}
"""The 8, which are in use, were searched for (Nelder-Mead) on trained networks that listen freely to 64 speakers of
purpose "tune", for the variance of each group and the events a minute that 24 steps draw from the same noise. With
the shipped networks they keep .96 to 1.05 of the variance (the head's .89) and .90 (blinks) to 1.02 of the events.
Whether a rare event happens is decided at the very beginning: with a first step of more than 0.1 brow raises die.
Gaussians keep .67 of their variance at a deviation of 0.2, .75 at 0.3, .85 at 0.5, .92 at 0.7, all at 1, 1.07 at 1.3.
32 angles on the same curve keep it within 5 %. The others were searched for in the same way, for what leaves the
variance of Gaussians of deviation 0.1 to 1.6 and of two mixtures with a rare peak nearest to itself, given a perfect
network. With 6 it stays within 5 % from 0.2 to 1.6."""


def angles(steps: int) -> list[float]:
    """`steps` noise angles from pi/2 downwards, closer together where the detail of the data is decided.

    Numbers of steps that were not searched for lie on the curve through the 8.

    Raises:
        ValueError: fewer than 1 step.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if steps in _SCHEDULES:
        return list(_SCHEDULES[steps])
    curve = np.log(_SCHEDULES[max(_SCHEDULES)])
    u = np.linspace(0.0, len(curve) - 1.0, steps)
    return [float(a) for a in np.exp(np.interp(u, np.arange(len(curve)), curve))]


def clean(z: Array, velocity: Array, angle: float) -> Array:
    """The clean estimate x of `z` at `angle`."""
    return cast(Array, math.cos(angle) * z - math.sin(angle) * velocity)


def ddim(velocity: Velocity[Array], z: Array, schedule: Sequence[float]) -> Array:
    """Denoising diffusion implicit model (Song et al. 2021, eta = 0): rotate z by each step, first order."""
    for here, there in pairwise(schedule):
        step = here - there
        z = cast(Array, math.cos(step) * z - math.sin(step) * velocity(z, here))
    return clean(z, velocity(z, schedule[-1]), schedule[-1])


def _half_log_snr(angle: float) -> float:
    return math.log(math.cos(angle) / math.sin(angle))


def dpm_solver_pp_2m(velocity: Velocity[Array], z: Array, schedule: Sequence[float]) -> Array:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): second-order multistep in the log signal-to-noise ratio.

    The first angle must be below pi/2, where that ratio is minus infinity.
    """
    before: Array | None = None
    width = 0.0
    for here, there in pairwise(schedule):
        h = _half_log_snr(there) - _half_log_snr(here)
        now = clean(z, velocity(z, here), here)
        estimate = now if before is None else now + (now - before) * (0.5 * h / width)
        z = math.sin(there) / math.sin(here) * z - math.cos(there) * math.expm1(-h) * estimate
        before, width = now, h
    return clean(z, velocity(z, schedule[-1]), schedule[-1])


def fitted_multistep(velocity: Velocity[Array], z: Array, schedule: Sequence[float]) -> Array:
    """Two-step Adams-Bashforth in the angle, fitted to trigonometric functions (Gautschi 1961) instead of polynomials.

    Its weights integrate sin(a) and cos(a) exactly. So the mean of the data comes out exactly at any number of steps
    (there v = -sin(a) x), a unit Gaussian too (v = 0), and detail much finer than the noise nearly so (v = cos(a) e).
    The first step, where there is one velocity only, is fitted to sin(a).
    """
    slope: Array | None = None
    for here, (newer, older) in zip(schedule, multistep_weights(tuple(schedule)), strict=False):
        now = velocity(z, here)
        z = cast(Array, z + newer * now if slope is None else z + newer * now + older * slope)
        slope = now
    return clean(z, velocity(z, schedule[-1]), schedule[-1])


@lru_cache(maxsize=64)
def multistep_weights(schedule: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Weights of the present and of the last velocity in each step of `fitted_multistep` between two angles."""
    before = (None, *schedule)
    return tuple(
        fitted_weights(here, there, last)[1:] for last, (here, there) in zip(before, pairwise(schedule), strict=False)
    )


def fitted_weights(here: float, there: float, last: float | None) -> tuple[float, float, float]:
    """Weights of z, of its velocity and of the velocity at the angle `last`, which make z at `there` of z at `here`.

    `last` None: this is the first step.
    """
    sines, cosines = math.cos(here) - math.cos(there), math.sin(there) - math.sin(here)
    if last is None:
        return 1.0, sines / math.sin(here), 0.0
    scale = math.sin(last - here)
    newer = (cosines * math.sin(last) - sines * math.cos(last)) / scale
    return 1.0, newer, (sines * math.cos(here) - cosines * math.sin(here)) / scale


def sample(velocity: Velocity[Array], noise: Array, steps: int) -> Array:
    """Clean data from `noise` by the solver in use."""
    return fitted_multistep(velocity, noise, angles(steps))
