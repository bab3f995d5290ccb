"""The shipped weights: where they lie, and that they are the ones their manifest names."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError, WeightsError, explained
from reactdiff_ros.model.diffusion.conditions import NETWORK_CONTROLS, STYLE_NAMES
from reactdiff_ros.model.diffusion.head_mean import AXES
from reactdiff_ros.model.diffusion.latents import ORDER, PARTS, Emphasis, as_manifest, emphasis_of, no_emphasis
from reactdiff_ros.resources import resource_path
from reactdiff_ros.types import FloatArray
from reactdiff_ros.whole_file import write_arrays

PRESET: Final = "live"
MANIFEST: Final = "manifest.json"
TENSORS: Final = "model.safetensors"
"""The networks to train on: in half precision, without the auxiliary head."""
LEFT_OUT: Final = (TENSORS, "encoder.fp16.onnx", "denoiser.fp16.onnx", "vae_decoder.fp16.onnx")
"""Files that a wheel leaves out: a listener does not need them."""
FORMAT: Final = 3
INTERFACES: Final = {
    "encoder": (("features", "observed", "cache", "mask"), ("token", "new")),
    "encoder_sequence": (("features", "observed", "number"), ("tokens",)),
    "vae_encoder": (("listener",), ("latents",)),
    "vae_decoder": (("latents",), ("listener",)),
    "attributes": (("latents",), ("attributes",)),
    "context": (("speaker", "past", "conditions", "angles"), ("keys", "values", "modulations")),
    "denoiser": (("z", "modulations", "keys", "values", "mask"), ("velocity",)),
}
"""Names of every graph's inputs and outputs."""
GRAPHS: Final = tuple(INTERFACES)
MOST: Final = {
    "horizon": 256,
    "past": 256,
    "speech": 256,
    "far": 256,
    "memory": 16,
    "encoder_layers": 16,
    "denoiser_layers": 64,
    "dilation": 16,
}
"""Largest of these sizes; of the others OTHERS_MOST. The live preset's are below a tenth of them."""
OTHERS_MOST: Final = 4096
MOST_KEYS: Final = 2**26
"""Largest number of values that the encoder's layers may keep of one speaker; the live preset keeps 120 000."""
_PARAMETERS_MOST: Final = 10**12
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A name of a file in the folder, which leads nowhere else on any system."""
REMEDY: Final = (
    "run 'make weights', install the package again, or set model_dir to a folder that 'reactdiff dev export' wrote"
)


NODS: Final = "nods.npz"
"""File of the network that says how likely a listener begins to nod."""
CARD: Final = "nods.json"
"""Next to it: of which weights it is, its checksum, how it was trained."""
LOOKS: Final = 8
"""Tokens that are looked at: every second one, the newest among them."""
AGES: Final = 16
"""Frames from the newest token to the one that is decided on, at most; older evidence counts as so old."""
NOD_CONTROLS: Final = ("attitude", "responsiveness", "nodding")
"""Controls that it reads, and whether each is given; and a style's nod rate."""
CONDITION_COUNT: Final = 2 * len(NOD_CONTROLS) + 2
HIDDEN: Final = 32
MOST_RATE: Final = 0.1
"""The most likely that a nod begins in one frame."""


@dataclass(frozen=True, slots=True)
class NodHead:
    """The network that says how likely a listener begins to nod: small, in NumPy, the same on every backend.

    One hidden layer over tokens, conditions and the age of the evidence. Shapes: N listeners, D token width,
    C = CONDITION_COUNT, F frames. `corrections.Nods` draws nods from it.
    """

    tokens: FloatArray
    """(LOOKS * D, HIDDEN)."""
    known: FloatArray
    """(LOOKS, HIDDEN) of the flags that tell which tokens there are."""
    conditions: FloatArray
    """(C, HIDDEN)."""
    ages: FloatArray
    """(AGES, HIDDEN), the layer's bias for evidence of that age."""
    out: FloatArray
    """(HIDDEN,)."""
    drive: FloatArray
    """(C,) straight from the conditions to the output."""
    bias: FloatArray
    """()."""
    digest: str = ""
    """First 12 hex digits of the SHA-256 of its file."""

    def rates(
        self,
        speaker: FloatArray,
        missing: FloatArray,
        conditions: FloatArray,
        ages: NDArray[np.integer[Any]],
        *,
        sharpness: float = 1.0,
    ) -> FloatArray:
        """How likely a nod begins (N, F) in F frames.

        Args:
            speaker: (N, speech, D) the newest tokens, oldest first; 0 where there is none.
            missing: (N, speech) 1 where there is none.
            conditions: (N, C) of `corrections.nod_conditions`.
            ages: (N, F) frames from the newest token to each.
            sharpness: times as far do rates go up and down (their logarithms) with what is seen; 1 as learnt.
        """
        looks = np.ascontiguousarray(speaker[:, ::-1][:, ::2][:, :LOOKS]).reshape(len(speaker), -1)
        known = 1 - missing[:, ::-1][:, ::2][:, :LOOKS]
        seen = looks @ self.tokens + known @ self.known + conditions @ self.conditions
        hidden = np.tanh(seen[:, None] + self.ages[np.clip(ages, 0, AGES - 1)])
        log_rate = sharpness * (hidden @ self.out) + (conditions @ self.drive)[:, None] + self.bias
        return np.asarray(np.minimum(np.exp(np.minimum(log_rate, 0.0)), MOST_RATE), dtype=np.float32)

    @property
    def count(self) -> int:
        """Number of parameters."""
        return sum(int(array.size) for array in self._arrays().values())

    def write(self, path: Path) -> None:
        """Write all weights, in float16."""
        write_arrays(path, {name: array.astype(np.float16) for name, array in self._arrays().items()})

    def _arrays(self) -> dict[str, FloatArray]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "digest"}


@dataclass(frozen=True, slots=True)
class Weights:
    """A checked folder of weights."""

    folder: Path
    shape: dict[str, int]
    """Sizes of the networks, see `training.nets.Shape`."""
    name: str
    simulator: str
    """Hash of the simulator that they were trained on."""
    parameters: dict[str, int]
    """Numbers of parameters of encoder, autoencoder and denoiser; empty where the manifest does not say."""
    emphasis: Emphasis
    """What lies between latents and what is drawn."""
    head_mean: FloatArray
    """(D + 1, 3) of `diffusion.head_mean`; 0 in weights whose diffusion draws the whole head."""
    nods: NodHead | None
    """What says when a listener nods; None in weights without it."""
    learnt: frozenset[str]
    """Of `corrections.REMOVABLE`, what the networks do themselves."""
    digest: str
    """First 12 hex digits of the SHA-256 of the manifest: which weights these are."""
    encoder: str
    """Digest of the encoder's tensors, whose tokens the head for nods reads; `digest` where the manifest has none."""

    def graph(self, name: str) -> Path:
        """The ONNX file of one network."""
        return self.folder / f"{name}.onnx"

    @property
    def tensors(self) -> Path:
        """The networks to train on, as safetensors. Raises WeightsError where a wheel left them out."""
        path = self.folder / TENSORS
        if not path.is_file():
            todo = "set it to resource/models/live of the source folder, or to what 'reactdiff dev export' wrote"
            raise WeightsError("these weights have no tensors, which a wheel leaves out", where=str(path), todo=todo)
        return path


def find_weights(folder: str | Path = "") -> Weights:
    """The weights in `folder`, or the shipped ones, with every hash checked.

    Raises:
        WeightsError: missing, unreadable, of another format, or not the files that the manifest names.
    """
    try:
        where = Path(folder) if folder else resource_path(Path("models") / PRESET)
        raw = (where / MANIFEST).read_bytes()
    except (ReactdiffError, OSError) as error:
        place = str(folder) or f"resource/models/{PRESET}"
        raise WeightsError("the model's weights are missing", where=place, todo=REMEDY) from error
    manifest = _parse(raw, where)
    shape, counts = dict(manifest["shape"]), dict(manifest.get("parameters", {}))
    emphasis = _emphasis(manifest.get("emphasis") or {}, shape.get("latent", 0), where)
    mean = _head_mean(manifest.get("head_mean"), shape.get("width", 0), where)
    for name, wanted in manifest["files"].items():
        if name not in LEFT_OUT or (where / name).exists():
            _check(where / name, wanted)
    digest = hashlib.sha256(raw).hexdigest()[:12]
    encoder = str(manifest.get("encoder", digest))
    nods = _nods(where, encoder, shape.get("width", 0))
    learnt = frozenset(manifest.get("learnt", ()))
    name, simulator = manifest["name"], manifest["simulator"]
    return Weights(where, shape, name, simulator, counts, emphasis, mean, nods, learnt, digest, encoder)


def _nods(where: Path, encoder: str, width: int) -> NodHead | None:
    try:
        return read_nod_head(where, encoder, width)
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"the network that says when to nod does not fit: {error}", where=str(where / CARD),
            todo="train it again with 'reactdiff dev train-nods', or delete this file to do without it",
        ) from error  # fmt: skip


def _head_mean(given: Any, width: int, where: Path) -> FloatArray:
    """As in the manifest; 0 where it has none."""
    if given is None:
        return np.zeros((width + 1, AXES), dtype=np.float32)
    readout = _floats(given, where)
    if readout.shape != (width + 1, AXES) or not np.isfinite(readout).all():
        raise _misfit("for another version", where)
    return readout


def _emphasis(given: Any, width: int, where: Path) -> Emphasis:
    """As in the manifest; where it leaves something out, nothing is done."""
    if not isinstance(given, dict):
        raise _unreadable(where)
    parts = no_emphasis(width)
    given = {name: _floats(given[name], where) for name in PARTS if name in given}
    known = given.get("feedback", parts["feedback"])
    if known.ndim == 2 and len(known) < ORDER:  # of older weights
        given["feedback"] = np.pad(known, ((0, ORDER - len(known)), (0, 0)))
    if any(array.shape != parts[name].shape for name, array in given.items()):
        raise _misfit("for another version", where)
    parts |= given
    finite = all(np.isfinite(array).all() for array in parts.values())
    if not finite or not (parts["step"] > 0).all():
        raise _misfit("of another format: their emphasis is no filter", where)
    return emphasis_of(parts)


def _floats(given: Any, where: Path) -> FloatArray:
    """The array that a manifest lists."""
    try:
        with np.errstate(over="ignore"):
            return np.array(given, dtype=np.float32)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _unreadable(where) from error


def interface() -> dict[str, Any]:
    """What a manifest says of the meaning of the networks' inputs and outputs; weights of another one do not fit."""
    return {"groups": as_manifest(), "conditions": [*NETWORK_CONTROLS, *STYLE_NAMES]}


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _parse(raw: bytes, where: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
        if manifest["format"] != FORMAT:
            raise _misfit("of another format", where)
        files, shape, name, simulator = (manifest[key] for key in ("files", "shape", "name", "simulator"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(where) from error
    counts = manifest.get("parameters", {})
    if not all(map(_is_text, (name, simulator))) or not all(map(_are_sizes, (shape, counts))):
        raise _misfit("of another format", where)
    learnt = manifest.get("learnt", [])
    if not isinstance(learnt, list) or not all(map(_is_text, learnt)):
        raise _misfit("of another format", where)
    if not isinstance(files, dict) or any(f"{graph}.onnx" not in files for graph in GRAPHS):
        raise _misfit("of another format", where)
    if not all(_PLAIN.fullmatch(file) and isinstance(wanted, str) for file, wanted in files.items()):
        raise WeightsError(
            "the manifest of the model's weights names a file that is not one of its folder", where=str(where),
            todo=REMEDY,
        )  # fmt: skip
    if not _can_be(shape) or any(count > _PARAMETERS_MOST for count in counts.values()):
        raise WeightsError("a size in the manifest of the model's weights is too large", where=str(where), todo=REMEDY)
    if any(manifest.get(key) != value for key, value in interface().items()):
        raise _misfit("for another version", where)
    return dict(manifest)


def encoder_strides(dilation: int, layers: int) -> list[int]:
    """How far apart the frames are that each temporal layer of the encoder looks at."""
    return [int(dilation**layer) for layer in range(layers)]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 200 and value.isprintable()


def _are_sizes(value: object) -> bool:
    return isinstance(value, dict) and all(type(n) is int and n > 0 for n in value.values())


def _can_be(shape: dict[str, int]) -> bool:
    """Whether networks of these sizes fit into a computer: looked at before anything is allocated for them."""
    if any(size > MOST.get(name, OTHERS_MOST) for name, size in shape.items()):
        return False
    if not shape.keys() >= {"width", "window", "dilation", "encoder_layers"}:
        return True  # Networks reports that they are missing
    looks = shape["window"] * sum(encoder_strides(shape["dilation"], shape["encoder_layers"]))
    return looks * 2 * shape["width"] <= MOST_KEYS


def _unreadable(where: Path) -> WeightsError:
    return WeightsError("the manifest of the model's weights is unreadable", where=str(where), todo=REMEDY)


def _misfit(how: str, where: Path) -> WeightsError:
    return WeightsError(f"the model's weights are {how}", where=str(where), todo=REMEDY)


def _check(path: Path, wanted: str) -> None:
    what = "a file of the model's weights is missing"
    with explained(OSError, what, where=path, todo=REMEDY, error=WeightsError):
        found = sha256(path)
    if found != wanted:
        raise WeightsError("a file of the model's weights is not the one in its manifest", where=str(path), todo=REMEDY)


def _shapes(width: int) -> dict[str, tuple[int, ...]]:
    return {
        "tokens": (LOOKS * width, HIDDEN), "known": (LOOKS, HIDDEN), "conditions": (CONDITION_COUNT, HIDDEN),
        "ages": (AGES, HIDDEN), "out": (HIDDEN,), "drive": (CONDITION_COUNT,), "bias": (),
    }  # fmt: skip


def read_nod_head(folder: Path, encoder: str, width: int) -> NodHead | None:
    """The head in the folder of weights, for tokens of `width` of that `Weights.encoder`; None where there is none.

    Raises:
        ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, RecursionError: what is there is none,
            or another network's, or not the file that was put there.
    """
    card = folder / CARD
    if not card.exists():
        return None
    described = json.loads(card.read_text(encoding="utf-8"))
    if described["encoder"] != encoder:
        raise ValueError(f"it reads tokens of the encoder {str(described['encoder'])[:40]}, these have {encoder}")
    content = (folder / NODS).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != described["sha256"]:
        raise ValueError("it is not the file that was put there")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name].astype(np.float32) for name in _shapes(width)}
    for name, shape in _shapes(width).items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is {arrays[name].shape}, not {shape}, or not finite")
    return NodHead(**arrays, digest=digest[:12])
