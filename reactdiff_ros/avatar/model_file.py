"""Avatars as files: binary glTF 2.0 (.glb) and VRM (.vrm), read far enough to know whether a page can move them.

Enters: a file. Leaves: what moves its face. The page does the rest (page/avatar.js), by the same names.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.avatar.looks import PAGE
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import ConfigError

SUFFIXES: Final = (".glb", ".vrm")
AVATARS: Final = ("head",)
"""Those of this package."""
MOST_BYTES: Final = 64 * 1024 * 1024
MOST_MORPHS: Final = 256
PERFECT_SYNC: Final = 40
"""A VRM with this many ARKit names among its expressions is moved by them, another one by its presets."""
_TODO: Final = "give a binary glTF with ARKit's morph targets, or a VRM"
_PLAIN: Final = {re.sub(r"[^a-z]", "", name.lower()): name for name in BLENDSHAPE_NAMES}


def shipped_avatar(name: str) -> Path:
    """The file of an avatar of this package."""
    return PAGE / "three" / f"{name}.glb"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What moves the face of an avatar."""

    vrm: int
    """Major version of VRM: 0 or 1; -1 for plain glTF."""
    names: frozenset[str]
    """Coefficients that it has."""
    by_presets: bool
    """A VRM that is moved by its emotions and mouth shapes, not by single coefficients."""

    @property
    def missing(self) -> list[str]:
        """Coefficients that do not move it, apart from the tongue, which few have."""
        return [] if self.by_presets else [n for n in BLENDSHAPE_NAMES if n not in self.names and n != "tongueOut"]

    @property
    def sentence(self) -> str:
        """What is not as a user may expect; empty: all is."""
        if self.by_presets:
            return "the avatar is moved by its VRM presets: it has too few ARKit expressions for single features"
        if not self.missing:
            return ""
        shown = ", ".join(self.missing[:6]) + (" ..." if len(self.missing) > 6 else "")
        return f"the avatar lacks {len(self.missing)} of 52 ARKit names, which will not move: {shown}"


def coefficient(name: str) -> str | None:
    """The coefficient that a morph target's name means: eyeBlinkLeft, EyeBlinkLeft, eyeBlink_L, Face.M_eyeBlink_L."""
    tail = re.split(r"[.:|/]", name)[-1]
    tail = re.sub(r"_(L|R)$", lambda found: {"L": "Left", "R": "Right"}[found[1]], tail)
    plain = re.sub(r"[^a-z]", "", tail.lower())
    return next((_PLAIN[plain[at:]] for at in range(min(len(plain), 24)) if plain[at:] in _PLAIN), None)


def read_model_file(path: Path) -> ModelFile:
    """Check an avatar's file. Raises ConfigError with the first thing that makes it useless."""
    tree = _json_chunk(path)

    def wrong(what: str, todo: str = _TODO) -> ConfigError:
        return ConfigError(what, where=str(path), todo=todo)

    try:
        if any("uri" in part for kind in ("buffers", "images") for part in tree.get(kind, [])):
            raise wrong("the avatar refers to other files", "export it as one file, with everything embedded")
        meshes = tree.get("meshes", [])
        morphs = [len(p.get("targets", [])) for mesh in meshes for p in mesh["primitives"]]
        targets = [name for mesh in meshes for name in mesh.get("extras", {}).get("targetNames", [])]
        extensions = tree.get("extensions", {})
        new, old = extensions.get("VRMC_vrm"), extensions.get("VRM")
        own: list[str] = list((new or {}).get("expressions", {}).get("custom", {}))
        presets: list[str] = list((new or {}).get("expressions", {}).get("preset", {}))
        for group in (old or {}).get("blendShapeMaster", {}).get("blendShapeGroups", []):
            (presets if group.get("presetName", "unknown") != "unknown" else own).append(str(group.get("name", "")))
        named = {name for name in map(coefficient, map(str, own if new or old else targets)) if name}
    except (AttributeError, KeyError, TypeError) as error:
        raise wrong("the avatar's description is malformed") from error
    if max(morphs, default=0) > MOST_MORPHS:
        raise wrong(f"a mesh of the avatar has more than {MOST_MORPHS} morph targets", "export only those of the face")
    by_presets = bool(new or old) and len(named) < PERFECT_SYNC
    if not max(morphs, default=0) or not (presets if by_presets else named):
        raise wrong("the avatar has no morph targets that are named as expressions")
    return ModelFile(1 if new else 0 if old else -1, frozenset(named), by_presets)


def _json_chunk(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(20)
            if size > MOST_BYTES:
                what, todo = f"the avatar is larger than {MOST_BYTES >> 20} MB", "reduce its textures"
                raise ConfigError(what, where=str(path), todo=todo)
            if len(head) < 20 or head[:4] != b"glTF" or head[16:20] != b"JSON":
                raise ConfigError("the avatar is not a binary glTF file", where=str(path), todo=_TODO)
            version, total, length = struct.unpack("<III", head[4:16])
            if version != 2 or total > size or length > size - 20:
                raise ConfigError("the avatar's file is cut off, or not of glTF 2.0", where=str(path), todo=_TODO)
            tree = json.loads(file.read(length))
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ConfigError("the avatar cannot be read", where=str(path), todo=reason) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError("the avatar's description is not JSON", where=str(path), todo=_TODO) from error
    if not isinstance(tree, dict):
        raise ConfigError("the avatar's description is malformed", where=str(path), todo=_TODO)
    return tree
