"""What a part of the evidence that takes hours has found so far, so that one that was ended goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.runs.keep import Keep
from reactdiff_ros.evaluation.runs.work import Made, Part

Arrays = Mapping[str, NDArray[np.floating[Any]]]


class KeptGroups:
    """Arrays by name in a folder, as far as they were made with these settings.

    Args:
        folder: made if it is not there.
        make: what makes them, "module:function".
        settings: all that they depend on, JSON values.

    Raises:
        ReactdiffError: the folder cannot be made.
    """

    def __init__(self, folder: Path, make: str, settings: Mapping[str, Any]) -> None:
        self._keep, self._make, self._settings = Keep(folder), make, settings

    def get(self, name: str, /) -> Arrays | None:
        """What is kept of that name, made with these settings; None if that is nothing, or cannot be read."""
        part = self._part(name)
        with suppress(ReactdiffError):
            if self._keep.look(part).there:
                return self._keep.load(part).arrays
        return None

    def __setitem__(self, name: str, arrays: Arrays, /) -> None:
        """Keep them. What cannot be written (a full disk) would only have saved time."""
        with suppress(ReactdiffError):
            self._keep.save(self._part(name), Made(arrays=dict(arrays)))

    def _part(self, name: str) -> Part:
        return Part(name, self._make, self._settings)
