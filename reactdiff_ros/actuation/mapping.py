"""From coefficients to joints (weighted sums, curves, couplings), and back: where the head is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.robot.profile import Profile
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
        needs = {name: profile.signals.keys() & signal.sum for name, signal in profile.signals.items()}
        return [
            self._layer([profile.signals[n] for n in names], [self._column[n] for n in names])
            for names in _levels(needs)
        ]

    def _follow_order(self, profile: Profile) -> list[tuple[list[int], Array]]:
        place = {name: i for i, name in enumerate(self.names)}
        layers = []
        for names in _levels({name: joint.map.follow for name, joint in profile.joints.items()})[1:]:
            weights = np.zeros((len(self.names), len(names)))
            for i, name in enumerate(names):
                for other, weight in profile.joints[name].map.follow.items():
                    weights[place[other], i] = weight
            layers.append(([place[n] for n in names], weights))
        return layers


def _levels(needs: MappingOf[str, Iterable[str]]) -> list[list[str]]:
    """Names by level: each needs only names of earlier levels."""
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    levels = []
    while sorter.is_active():
        ready = sorter.get_ready()
        levels.append([name for name in needs if name in ready])
        sorter.done(*ready)
    return levels


def _evaluate(layer: _Layer, table: Array) -> Array:
    values: Array = table @ layer.weights
    for i, x, y in layer.curves:
        values[..., i] = np.interp(values[..., i], x, y)
    return values


AXES: Final = ("pitch", "yaw", "roll", "y", "z", "x")
"""A profile's axes of the head (REP-103) in the order of the coefficients headPitch, headYaw, headRoll, headX (its
left), headY (up), headZ (forward)."""


class HeadReader:
    """The head's pose, from a profile's `head`: sums of weight x (position - neutral)."""

    def __init__(self, profile: Profile) -> None:
        """Raises ValueError when the profile has no `head`."""
        if profile.head is None:
            raise ValueError(f"the profile {profile.name} has no head")
        names = list(profile.joints)
        self._neutral: Array = np.array([j.neutral for j in profile.joints.values()])
        self._weights: Array = np.zeros((len(AXES), len(names)))
        for row, axis in enumerate(AXES):
            for joint, weight in profile.head.axes[axis].items():
                self._weights[row, names.index(joint)] = weight
        self._moves = (self._weights != 0.0).any(axis=0)
        self.joints = tuple(name for name, moves in zip(names, self._moves, strict=True) if moves)
        """The joints that move the head."""

    def pose(self, measured: Sequence[float], command: Sequence[float]) -> Array | None:
        """The pose (6,) in the order, axes and units of the last six coefficients, zero at neutral.

        Args:
            measured: position of every joint in the profile's order and the joint's unit; NaN: not known.
            command: the last command of each, in place of what is not measured; NaN: none.

        Returns: None when the position of a joint that moves the head is unknown.
        """
        known = np.asarray(measured, dtype=np.float64)
        known = np.where(np.isfinite(known), known, np.asarray(command, dtype=np.float64))
        if not np.isfinite(known[self._moves]).all():
            return None
        offsets = np.where(self._moves, known - self._neutral, 0.0)
        return np.asarray(self._weights @ offsets)
