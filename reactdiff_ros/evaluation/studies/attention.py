"""Where the encoder's intra- and inter-class attention looks on cues that show only in face and voice together.

The two kinds of attention within a frame are computed here again from the shipped tensors, which the ONNX graphs do
not hand out. A test holds them to the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.tokens import STREAMS, featurize
from reactdiff_ros.model.weights import Weights
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import Speakers, make_speakers, stimulus_of
from reactdiff_ros.simulator.voices import VoiceBank

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FACE: Final = tuple(name for name, kind, _ in STREAMS if kind == "face")
VOICE: Final = tuple(name for name, kind, _ in STREAMS if kind == "voice")
MAPS: Final[dict[str, tuple[str, ...]]] = {
    "intra_face": ("class", *FACE),
    "intra_voice": ("class", *VOICE),
    "inter_face_to_voice": ("class", *VOICE),
    "inter_voice_to_face": ("class", *FACE),
}
"""Maps of attention by name: what the class token of one class attends to."""
CUES: Final = ("smile with bright voice", "smile with flat voice", "laugh", "cough", "pause held", "pause yielded")
_MASKED: Final = -1e4


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """The encoder's tensors by their names, in float64."""

    tensors: dict[str, Floats]
    heads: int


def read_fusion(weights: Weights) -> FusionWeights:
    """The tensors of the encoder in a folder of weights.

    Raises:
        WeightsError: they are not there.
    """
    from safetensors.numpy import load_file

    path = Path(weights.folder) / "model.safetensors"
    try:
        tensors = load_file(path)
    except (OSError, ValueError) as error:
        raise WeightsError("the tensors of the weights cannot be read", where=str(path), todo=str(error)) from error
    own = {k.removeprefix("encoder."): v.astype(np.float64) for k, v in tensors.items() if k.startswith("encoder.")}
    if "face.kind" not in own:
        raise WeightsError("the weights have no encoder of this version", where=str(path), todo="export them again")
    return FusionWeights(own, weights.shape["heads"])


def attention_maps(weights: FusionWeights, features: Floats, observed: Floats) -> dict[str, Floats]:
    """Attention (n, streams + 1), mean over heads, of every map for frames of features (n, F) and flags (n, S)."""
    widths = np.cumsum([width for _, _, width in STREAMS])[:-1]
    streams = np.split(features, widths, axis=-1)
    seen, heard = observed[:, : len(FACE)], observed[:, len(FACE) :]
    face, intra_face = _class(weights, "face", streams[: len(FACE)], seen)
    voice, intra_voice = _class(weights, "voice", streams[len(FACE) :], heard)
    face, voice = _norm(weights, "norm_face", face), _norm(weights, "norm_voice", voice)
    return {
        "intra_face": intra_face,
        "intra_voice": intra_voice,
        "inter_face_to_voice": _attend(weights, "face_to_voice", face[:, :1], voice, heard)[1][:, 0],
        "inter_voice_to_face": _attend(weights, "voice_to_face", voice[:, :1], face, seen)[1][:, 0],
    }


def _class(weights: FusionWeights, name: str, streams: list[Floats], observed: Floats) -> tuple[Floats, Floats]:
    tokens = []
    for i, stream in enumerate(streams):
        hidden = _gelu(_linear(weights, f"{name}.projections.{i}.0", stream))
        tokens.append(_linear(weights, f"{name}.projections.{i}.2", hidden) * observed[:, i : i + 1])
    x = np.stack([np.zeros_like(tokens[0]), *tokens], axis=1) + weights.tensors[f"{name}.kind"]
    normed = _norm(weights, f"{name}.norm1", x)
    mixed, maps = _attend(weights, f"{name}.attention", normed, normed, observed)
    x = x + mixed
    hidden = _gelu(_linear(weights, f"{name}.mlp.0", _norm(weights, f"{name}.norm2", x)))
    return x + _linear(weights, f"{name}.mlp.2", hidden), maps[:, 0]


def _attend(weights: FusionWeights, name: str, x: Floats, memory: Floats, observed: Floats) -> tuple[Floats, Floats]:
    """Output (n, Q, D) and attention (n, Q, K), mean over heads; unobserved streams behind the class are hidden."""
    heads = weights.heads

    def split(values: Floats) -> Floats:
        return values.reshape(*values.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    q, k, v = (split(_linear(weights, f"{name}.{p}", m)) for p, m in (("q", x), ("k", memory), ("v", memory)))
    mask = np.pad((1.0 - observed) * _MASKED, ((0, 0), (1, 0)))[:, None, None, :]
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5 + mask
    share = np.exp(scores - scores.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    joined = (share @ v).transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
    return _linear(weights, f"{name}.out", joined), share.mean(1)


def _linear(weights: FusionWeights, name: str, x: Floats) -> Floats:
    return np.asarray(x @ weights.tensors[f"{name}.weight"].T + weights.tensors[f"{name}.bias"])


def _norm(weights: FusionWeights, name: str, x: Floats) -> Floats:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return np.asarray(scaled * weights.tensors[f"{name}.weight"] + weights.tensors[f"{name}.bias"])


def _gelu(x: Floats) -> Floats:
    return np.asarray(0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))))


def cue_frames(s: Speakers) -> dict[str, Mask]:
    """(B, T) frames of each of CUES, and "plain talk": speech without any of them."""
    smiling = s.smile > 0.3
    pause = ~s.speech & ~s.burst & s.present
    held = _held(s)
    cues = {
        "smile with bright voice": smiling & s.speech & s.bright & ~s.flat,
        "smile with flat voice": smiling & s.speech & s.flat,
        "laugh": s.burst & s.laughing,
        "cough": s.burst & ~s.laughing,
        "pause held": pause & held,
        "pause yielded": pause & ~held,
    }
    cues["plain talk"] = s.speech & (s.smile < 0.05) & (s.brighten < 0.05)
    return cues


def _held(s: Speakers) -> Mask:
    """Within a pause after which the same person goes on."""
    return np.asarray(stimulus_of(s).held > 0.5)


def evaluate_attention(
    weights: Weights, *, seed: int = 0, worlds: int = 240, frames: int = 750, bank: VoiceBank | None = None
) -> dict[str, Any]:
    """Mean attention of every map in plain talk, and on each cue its difference from that with a 95 % interval.

    The interval is a bootstrap over worlds in which both occur, camera and microphone on. Somebody coughs in one world
    of seven, and 60 worlds held two such.
    """
    number = purpose_seed("evaluate", seed, 12)
    speakers = make_speakers(number, worlds, frames)
    batch = observe(number, speakers, bank)
    features, observed = featurize(batch)
    fusion = read_fusion(weights)
    usable = batch.mesh & batch.microphone
    cues = {name: where & usable for name, where in cue_frames(speakers).items()}
    by_world = [
        attention_maps(fusion, *(np.asarray(given, dtype=np.float64) for given in world))
        for world in zip(features, observed, strict=True)
    ]
    shaped = {name: np.stack([maps[name] for maps in by_world]) for name in MAPS}
    rng = np.random.default_rng([seed, 91])
    out: dict[str, Any] = {"plain talk": {}, "cues": {}}
    for name, values in shaped.items():
        plain = values[cues["plain talk"]]
        out["plain talk"][name] = dict(zip(MAPS[name], plain.mean(0).tolist(), strict=True)) if len(plain) else None
    for cue in CUES:
        out["cues"][cue] = {
            name: _difference(values, cues[cue], cues["plain talk"], MAPS[name], rng) for name, values in shaped.items()
        }
    return out


def _difference(
    values: Floats, on: Mask, off: Mask, names: tuple[str, ...], rng: np.random.Generator
) -> dict[str, Any] | None:
    both = on.any(1) & off.any(1)
    if both.sum() < 3:
        return None
    gaps = np.array([values[w][on[w]].mean(0) - values[w][off[w]].mean(0) for w in np.flatnonzero(both)])
    drawn = gaps[rng.integers(0, len(gaps), (1000, len(gaps)))].mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return {
        name: {"difference": float(gaps[:, i].mean()), "low": float(low[i]), "high": float(high[i])}
        for i, name in enumerate(names)
    }
