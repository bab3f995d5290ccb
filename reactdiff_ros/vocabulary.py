"""Names and ranges that commands show in their help: nothing heavy is imported for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Policy = Literal["model", "rules", "mime", "random", "idle"]
POLICIES: Final[tuple[Policy, ...]] = ("model", "rules", "mime", "random", "idle")

RANGES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "attitude": (-1.0, 1.0),
        "responsiveness": (0.0, 1.0),
        "smiling": (-1.0, 1.0),
        "nodding": (-1.0, 1.0),
        "liveliness": (-1.0, 1.0),
        "delay_s": (0.0, 1.0),
        "intensity": (0.0, 2.0),
        "stillness": (0.0, 1.0),
        "upper_face": (0.0, 2.0),
        "lower_face": (0.0, 2.0),
        "head": (0.0, 2.0),
    }
)
"""The one table of controls: lowest and highest value of each. What they mean: `types.ListenerControl`."""
