"""The page's own face as pictures, without a browser: for videos, reports and galleries.

The page's scripts run as they are in V8 (mini-racer) and draw SVG; resvg makes pictures of it. So there is one face,
and a look that is changed is changed everywhere.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import py_mini_racer
import resvg_py

from reactdiff_ros.avatar.config import LOOKS
from reactdiff_ros.avatar.looks import PAGE, SUFFIX, keys, read_look, shipped
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.types import UINT8, FloatArray

_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "\./([\w]+)\.js";$', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)


class FaceDrawing:
    """One face in one look.

    Args:
        look: the name of a shipped look, see `looks`, or a look's file.
        width, height: of the pictures, px.
        seed: of its small movements.

    Raises:
        ConfigError: there is no such look, its file has an error, or it is made of pixels, which only a browser draws.
    """

    def __init__(self, look: str = "soft", width: int = 480, height: int = 480, seed: int = 1) -> None:
        self._scripts = py_mini_racer.MiniRacer()
        self._scripts.eval(f"{Path(__file__).with_suffix('.js').read_text(encoding='utf-8')}\n{_bundle('draw')}")
        arguments = json.dumps([_whole_look(look), width, height, seed])
        self._scripts.eval(f"const face = easel(...{arguments});")

    def svg(self, coefficients: FloatArray, time_s: float, mood: dict[str, float] | None = None) -> str:
        """The face as SVG. Faces drawn in the order of their times are the same each time.

        Args:
            coefficients: (58,).
            time_s: of springs and small movements; after a jump by more than 0.5 s or back these begin at rest.
            mood: what the robot does or lacks, such as {"hearing": 1.0}; see page/life.js.
        """
        arguments = json.dumps([np.asarray(coefficients, dtype=float).tolist(), time_s, mood or {}], allow_nan=False)
        return str(self._scripts.eval(f"face.draw(...{arguments})"))

    def picture(self, coefficients: FloatArray, time_s: float, mood: dict[str, float] | None = None) -> UINT8:
        """The face as a picture, (height, width, 3) uint8 BGR; arguments as of `svg`."""
        return rasterised(self.svg(coefficients, time_s, mood))


def rasterised(svg: str) -> UINT8:
    """A drawing as a picture, (height, width, 3) uint8 BGR."""
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    return np.asarray(cv2.imdecode(np.frombuffer(bytes(png), np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)


@cache
def looks() -> tuple[str, ...]:
    """Names of the shipped looks that can be drawn here."""
    return tuple(sorted(name for name in LOOKS if not read_look(shipped(name)).get("style", {}).get("pixels")))


def _whole_look(name: str) -> dict[str, Any]:
    """A look with every key, as looks.js completes it."""
    own = name.endswith(SUFFIX)
    todo = f"use one of {', '.join(looks())}, or a look's file, NAME{SUFFIX}"
    if not own and name not in looks():
        raise ConfigError(f"there is no look {name!r} to draw", where="look", todo=todo)
    given = read_look(Path(name) if own else shipped(name))
    if given.get("style", {}).get("pixels"):
        raise ConfigError("only browsers draw a look of pixels", where=f"{name}, style.pixels", todo=todo)
    whole = {"name": name}
    return whole | {
        part: {key: given.get(part, {}).get(key, default[0]) for key, default in entries.items()}
        for part, entries in keys().items()
    }


def _bundle(name: str, done: set[str] | None = None) -> str:
    """A script of the page and all that it imports, each in its own function, in the order of need."""
    done = set() if done is None else done
    if name in done:
        return ""
    done.add(name)
    source = (PAGE / f"{name}.js").read_text(encoding="utf-8")
    before = "".join(_bundle(other, done) for _, other in _IMPORT.findall(source))
    body = re.sub(r"^export ", "", _IMPORT.sub(r"const {\1} = modules.\2;", source), flags=re.MULTILINE)
    return f"{before}(() => {{\n{body}\nmodules.{name} = {{ {', '.join(_EXPORT.findall(source))} }};\n}})();\n"
