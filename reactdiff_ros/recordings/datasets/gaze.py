"""Annotated gaze of two people who talk, of an ELAN file (.eaf) as the IFADV corpus has them: tiers whose participant
is "kijkrichting" (Dutch: direction of gaze) and a speaker's name, with "g" where they look at the other.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.recordings.datasets.recording import DatasetError

Floats = NDArray[np.float64]
TIER: Final = "kijkrichting "
CONTACT: Final = "g"
LARGEST_BYTES: Final = 20_000_000


def read_gaze(path: Path) -> dict[str, Floats]:
    """By the name of a speaker: when they look at the other, rows (n, 2) of begin and end in s.

    Raises:
        DatasetError: the file cannot be read or has no such tier.
    """
    try:
        data = path.read_bytes()
        if len(data) > LARGEST_BYTES or b"<!ENTITY" in data:
            raise ValueError("it is not an annotation")
        root = ElementTree.fromstring(data)
        at = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "-1")) for slot in root.iter("TIME_SLOT")}
        found = {}
        for tier in root.iter("TIER"):
            who = tier.get("PARTICIPANT", "")
            if not who.startswith(TIER):
                continue
            spans = [
                (at[item.get("TIME_SLOT_REF1")] / 1000.0, at[item.get("TIME_SLOT_REF2")] / 1000.0)
                for item in tier.iter("ALIGNABLE_ANNOTATION")
                if (item.findtext("ANNOTATION_VALUE") or "").strip() == CONTACT
            ]
            spans = [span for span in sorted(spans) if 0.0 <= span[0] < span[1] and math.isfinite(span[1])]
            found[who.removeprefix(TIER)] = np.array(spans).reshape(-1, 2)
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        raise DatasetError("the annotated gaze cannot be read", where=str(path), todo="give an ELAN file") from error
    if not found:
        raise DatasetError(
            "the file has no tiers of gaze", where=str(path), todo=f"participants must be called '{TIER}NAME'"
        )
    return found


def looks(spans: Floats, times_s: Floats) -> NDArray[np.bool_]:
    """Which of the times (T,) are within the spans (n, 2)."""
    begun = np.searchsorted(spans[:, 0], times_s, side="right")
    return np.asarray(times_s < np.r_[-np.inf, spans[:, 1]][begun])
