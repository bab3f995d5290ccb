"""From coefficients to where every joint should go: weighted sums, curves, couplings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.profile import Profile, Signal
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, bounded

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Quantities that need only what earlier layers made: one product of matrices, then curves."""

    columns: list[int]
    """Where their values go."""
    weights: Array
    """(all columns, here)."""
    curves: list[tuple[int, Array, Array]]
    """(place in the layer, x, y)."""


class Mapping:
    """A profile's mapping, compiled.

    The table of values has the 58 coefficients, then the signals, then the joints' clamped offsets from neutral.
    """

    def __init__(self, profile: Profile) -> None:
        self.names = tuple(profile.joints)
        self._signals = list(profile.signals)
        joints = profile.joints.values()
        self._first = COEFFICIENT_COUNT + len(self._signals)
        self._width = self._first + len(self.names)
        self._neutral: Array = np.array([j.neutral for j in joints])
        self._lowest: Array = np.array([j.lower - j.neutral for j in joints])
        self._highest: Array = np.array([j.upper - j.neutral for j in joints])
        self._column = {
            **INDEX,
            **{s: COEFFICIENT_COUNT + i for i, s in enumerate(self._signals)},
        }
        self._signal_layers = self._signal_order(profile)
        self._joint_sums = self._layer([j.map for j in joints], list(range(self._first, self._width)))
        self._follows = self._follow_order(profile)

    def wanted(self, coefficients: NDArray[np.floating[Any]]) -> Array:
        """Where each joint should go, not clamped to its limits, in its unit.

        Args:
            coefficients: (..., 58); what is not finite counts as neutral, the rest is held to the package's bounds.

        Returns: (..., joints) finite numbers, in the order of `names`.
        """
        frames = bounded(coefficients).astype(np.float64)
        table = np.zeros((*frames.shape[:-1], self._width))
        table[..., :COEFFICIENT_COUNT] = frames
        for layer in self._signal_layers:
            table[..., layer.columns] = _evaluate(layer, table)
        offsets = _evaluate(self._joint_sums, table)
        clamped = np.clip(offsets, self._lowest, self._highest)
        for joints, weights in self._follows:
            offsets[..., joints] += clamped @ weights
            clamped[..., joints] = np.clip(offsets[..., joints], self._lowest[joints], self._highest[joints])
        result: Array = self._neutral + offsets
        return result

    def _layer(self, signals: list[Any], columns: list[int]) -> _Layer:
        weights = np.zeros((self._width, len(signals)))
        curves = []
        for i, signal in enumerate(signals):
            for name, weight in signal.sum.items():
                weights[self._column[name], i] = weight
            if signal.curve is not None:
                x, y = np.array(signal.curve, dtype=np.float64).T
                curves.append((i, x, y))
        return _Layer(columns, weights, curves)

    def _signal_order(self, profile: Profile) -> list[_Layer]:
        depth: dict[str, int] = {}

        def of(name: str) -> int:
            if name not in depth:
                depth[name] = 1 + max((of(s) for s in profile.signals[name].sum if s in profile.signals), default=-1)
            return depth[name]

        for name in self._signals:
            of(name)
        layers = []
        for level in range(max(depth.values(), default=-1) + 1):
            names = [n for n in self._signals if depth[n] == level]
            signals: list[Signal] = [profile.signals[n] for n in names]
            layers.append(self._layer(signals, [self._column[n] for n in names]))
        return layers

    def _follow_order(self, profile: Profile) -> list[tuple[list[int], Array]]:
        place = {name: i for i, name in enumerate(self.names)}
        depth: dict[str, int] = {}

        def of(name: str) -> int:
            if name not in depth:
                depth[name] = 1 + max((of(other) for other in profile.joints[name].map.follow), default=-1)
            return depth[name]

        for name in self.names:
            of(name)
        layers = []
        for level in range(1, max(depth.values()) + 1):
            names = [n for n in self.names if depth[n] == level]
            weights = np.zeros((len(self.names), len(names)))
            for i, name in enumerate(names):
                for other, weight in profile.joints[name].map.follow.items():
                    weights[place[other], i] = weight
            layers.append(([place[n] for n in names], weights))
        return layers


def _evaluate(layer: _Layer, table: Array) -> Array:
    values: Array = table @ layer.weights
    for i, x, y in layer.curves:
        values[..., i] = np.interp(values[..., i], x, y)
    return values
