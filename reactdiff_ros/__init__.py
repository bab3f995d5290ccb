"""reactdiff_ros: a social robot's listening face, after ReactDiff (Li et al., arXiv 2505.14151)."""

import os
import pkgutil

# Before NumPy: its BLAS would else keep a thread for every core, which spin after each of our small products.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from reactdiff_ros.resources import package_version

# The message classes are generated into the installed package of the same name: from the source tree, both are one.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = package_version()
