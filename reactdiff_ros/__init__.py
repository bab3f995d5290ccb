"""reactdiff_ros: a social robot's listening face, after ReactDiff (Li et al., arXiv 2505.14151)."""

import os
import pkgutil
from typing import TYPE_CHECKING, Any

# Before NumPy: its BLAS would else keep a thread for every core, which spin after each of our small products.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from reactdiff_ros.resources import package_version

# The message classes are generated into the installed package of the same name: from the source tree, both are one.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = package_version()

if TYPE_CHECKING:
    from reactdiff_ros.recordings.listener import FaceTrack as FaceTrack
    from reactdiff_ros.recordings.listener import Listener as Listener


def __getattr__(name: str) -> Any:
    """`Listener` and `FaceTrack` are loaded when they are used: nodes import this package without them."""
    if name in ("Listener", "FaceTrack"):
        from reactdiff_ros.recordings import listener

        return getattr(listener, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
