"""Who a simulated listener is: controls that a user could turn, and traits that are only drawn.

People differ more between each other than one person does from moment to moment (smiles 3.7 to 12.7 a minute and 7 to
81 % of the time in the calls of the reference; blinks 10 to 33 a minute; backchannel rates differ strongly). The
traits carry that; the controls of `model.diffusion.conditions` shift it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.diffusion.conditions import CONTROL_COUNT, CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER
from reactdiff_ros.types import FloatArray

Prior = Literal["natural", "wide"]

TRAIT_NAMES: Final = (
    "smile_base", "smile_spread", "smile_size", "smile_pace", "answering", "follows", "cheeks", "side", "lids",
    "nod_rate", "nod_size", "nod_pace", "sway", "brow_rate", "press_rate", "dimple_rate", "tilt_rate", "lips_rate",
    "chin_rate", "laughing", "blink_rate", "gaze_share", "gaze_pace", "warmth",
)  # fmt: skip
"""Standard normal numbers; what each does is where it is read."""
TRAIT_COUNT: Final = len(TRAIT_NAMES)
_TRAIT: Final = {name: i for i, name in enumerate(TRAIT_NAMES)}
_CONTROL: Final = {name: i for i, name in enumerate(CONTROL_NAMES)}

# The natural prior: mean coupling as people's, other controls around the ordinary.
NATURAL_RESPONSIVENESS: Final = 0.35
_NATURAL_SPREAD: Final = {"attitude": 0.2, "smiling": 0.4, "nodding": 0.4, "liveliness": 0.35}


@dataclass(slots=True)
class Temperament:
    """N listeners: `controls` (N, 6) as `conditions.CONTROL_NAMES`, `traits` (N, TRAIT_COUNT) about -2 .. 2."""

    controls: FloatArray
    traits: FloatArray

    def __len__(self) -> int:
        return len(self.controls)

    def control(self, name: str) -> FloatArray:
        """One control, (N,)."""
        return self.controls[:, _CONTROL[name]]

    def trait(self, name: str) -> FloatArray:
        """One trait, (N,)."""
        return self.traits[:, _TRAIT[name]]

    def take(self, rows: NDArray[np.integer[Any]]) -> Temperament:
        """The given listeners: to repeat or select them."""
        return Temperament(self.controls[rows], self.traits[rows])


def draw_temperaments(
    seed: int | np.random.SeedSequence, count: int, *, prior: Prior = "natural", controls: FloatArray | None = None
) -> Temperament:
    """`count` listeners.

    Args:
        seed: the same seed, the same listeners; traits do not depend on the prior or on `controls`.
        count: how many.
        prior: "natural" couples as people do (evaluation); "wide" is half natural, half uniform over the range of
            every control (training).
        controls: (count, 6) or (6,), set instead of drawn; NaN leaves one to the prior.

    Raises:
        ReactdiffError: `controls` has another shape.
    """
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    trait_rng, natural_rng, wide_rng = (np.random.default_rng([*root.generate_state(4), part]) for part in range(3))
    traits = np.clip(trait_rng.standard_normal((count, TRAIT_COUNT)), -2.5, 2.5).astype(np.float32)
    drawn = _natural(natural_rng, count)
    uniform = wide_rng.uniform(CONTROL_LOWER, CONTROL_UPPER, (count, CONTROL_COUNT)).astype(np.float32)
    spread = wide_rng.random(count) < 0.5
    if prior == "wide":
        drawn = np.where(spread[:, None], uniform, drawn)
    if controls is not None:
        given = np.asarray(controls, dtype=np.float32)
        if given.shape not in {(CONTROL_COUNT,), (count, CONTROL_COUNT)}:
            raise ReactdiffError(
                "controls of a listener have the wrong shape",
                where=str(given.shape),
                todo=f"give {CONTROL_COUNT} numbers ({', '.join(CONTROL_NAMES)}) a listener",
            )
        drawn = np.where(np.isfinite(given), given, drawn)
    return Temperament(np.clip(drawn, CONTROL_LOWER, CONTROL_UPPER).astype(np.float32), traits)


def _natural(rng: np.random.Generator, count: int) -> FloatArray:
    normal = rng.standard_normal((count, CONTROL_COUNT))
    out = np.zeros((count, CONTROL_COUNT), dtype=np.float32)
    for name, spread in _NATURAL_SPREAD.items():
        out[:, _CONTROL[name]] = spread * normal[:, _CONTROL[name]]
    out[:, _CONTROL["responsiveness"]] = rng.uniform(0.0, NATURAL_RESPONSIVENESS, count)
    return out
