"""Mend the include paths in the CMake files of the ROS wheels: they name the machine that built them."""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy


def main(prefix: str) -> None:
    """Rewrite every CMake file below `prefix`/share; a second run changes nothing."""
    python_include = sysconfig.get_paths()["include"]
    numpy_include = numpy.get_include()
    for path in Path(prefix, "share").rglob("*.cmake"):
        text = path.read_text(errors="surrogateescape")
        mended = re.sub(
            r"/opt/python/[^/;\"]+/lib/[^/;\"]+/site-packages/numpy/(_core|core)/include", numpy_include, text
        )
        mended = re.sub(r"/opt/python/[^/;\"]+/include/python3\.\d+", python_include, mended)
        if mended != text:
            path.write_text(mended, errors="surrogateescape")


if __name__ == "__main__":
    main(sys.argv[1])
