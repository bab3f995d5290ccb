"""From what was seen of a joint while it was moved to its calibration; what cannot be right is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from reactdiff_ros.actuation.calibration.file import CalibrationError
from reactdiff_ros.actuation.profile import Joint

SMALLEST: Final = 0.5
"""A range that covers no more than this share of the profile's limits is refused;
a joint that was stopped at once covers half."""
WIDEST: Final = 0.95
"""A range of more than this share of a turn is none: the joint was turned round."""
MARGIN: Final = 0.01
"""Share of the range that stays free at either end, so that nothing is pressed against its stop."""
BESIDE: Final = 0.03
"""Neutral may stand outside of the ends by this share of the range: it may be an end itself."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Of a servo: how many counts there are, the count of a joint's 0, and the joint's units a count."""

    counts: int
    zero: int
    step: float
    round: bool
    """Whether the count after the last is 0 again, so that a turn over it can be followed."""


class Track:
    """Follows the counts of a joint that is moved by hand, also over the end of the counts.

    `value` goes on where the counts wrap; `lost` when two counts were too far apart to know which way it went.
    """

    def __init__(self, scale: Scale, count: int) -> None:
        self._scale, self._last = scale, count
        self.value, self.lost = count, False

    def see(self, count: int) -> None:
        """The next count."""
        counts, step = self._scale.counts, count - self._last
        if self._scale.round:
            step = (step + counts // 2) % counts - counts // 2
        self.lost = self.lost or abs(step) > counts // 4
        self.value, self._last = self.value + step, count


@dataclass(frozen=True, slots=True)
class HandRange:
    """What follows from three poses: direction, how much all counts are to be shifted, and the range after that."""

    drive_mode: int
    shift: int
    range_min: int
    range_max: int


def range_by_hand(name: str, joint: Joint, scale: Scale, neutral: int, lower: int, upper: int) -> HandRange:
    """Direction, shift and range of a joint on a bus.

    Args:
        name: the joint's, for the sentence.
        joint: its entry of the profile.
        scale: of its servo.
        neutral: its count (`Track.value`) at its neutral.
        lower: at the end towards its lower limit.
        upper: at the other end.

    Raises:
        CalibrationError: the range is too small, too wide, reversed or wrapped.
    """
    way = upper - lower
    if abs(way) * scale.step <= SMALLEST * (joint.upper - joint.lower):
        _refuse_small(name, joint, abs(way) * scale.step)
    if abs(way) > WIDEST * scale.counts:
        turn = abs(way) / scale.counts
        raise CalibrationError(f"its range is too wide: {turn:.2f} of all counts", where=name, todo="move it less far")
    sign = 1 if way > 0 else -1
    low, high = sorted((lower, upper))
    room = BESIDE * (high - low)
    if not low - room <= neutral <= high + room:
        text = f"its range is reversed: its neutral ({neutral}) is not between its ends ({lower} and {upper})"
        raise CalibrationError(text, where=name, todo="move it first to one end, then to the other")
    shift = scale.zero + sign * round(joint.neutral / scale.step) - neutral
    margin = round(MARGIN * (high - low))
    low, high = low + shift + margin, high + shift - margin
    if low < 0 or high >= scale.counts:
        text = f"its range is wrapped: counts from {low} to {high}, and there are 0 to {scale.counts - 1}"
        raise CalibrationError(text, where=name, todo="turn the horn: neutral belongs into the middle of the servo")
    ends = sorted((sign * (low - scale.zero) * scale.step, sign * (high - scale.zero) * scale.step))
    covered = min(ends[1], joint.upper) - max(ends[0], joint.lower)
    if covered <= SMALLEST * (joint.upper - joint.lower):
        _refuse_small(name, joint, max(covered, 0.0))
    return HandRange(0 if sign > 0 else 1, shift, low, high)


def range_by_pulses(
    name: str, lower: float, upper: float, wanted: tuple[float, float], bounds: tuple[float, float]
) -> tuple[int, int]:
    """The range of a hobby servo from the pulses at which it was stopped, or that its limits ask for.

    Args:
        name: the joint's, for the sentence.
        lower: where it was stopped on the way to its lower limit, in us (Ohbot: counts).
        upper: on the way to the other.
        wanted: the pulses of the limits themselves.
        bounds: what such servos take.

    Raises:
        CalibrationError: the range is too small, too wide or reversed.
    """
    way, whole = upper - lower, wanted[1] - wanted[0]
    if way * whole < 0:
        raise CalibrationError(f"its range is reversed: {lower:.0f} to {upper:.0f}", where=name, todo="do it again")
    if abs(way) <= SMALLEST * abs(whole):
        text = f"its range is too small: {abs(way):.0f} of {abs(whole):.0f} that its limits ask for"
        raise CalibrationError(text, where=name, todo="turn its horn, or give it other limits in the profile")
    low, high = sorted((lower, upper))
    if low < bounds[0] or high > bounds[1]:
        text = f"its range is too wide: {low:.0f} to {high:.0f}"
        raise CalibrationError(text, where=name, todo=f"such servos take {bounds[0]:.0f} to {bounds[1]:.0f}")
    return math.floor(low), math.ceil(high)


def _refuse_small(name: str, joint: Joint, covered: float) -> None:
    text = f"its range is too small: {covered:.4g} of the {joint.upper - joint.lower:.4g} {joint.unit} of its limits"
    raise CalibrationError(text, where=name, todo="move it to both ends, or give it other limits in the profile")
