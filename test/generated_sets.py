"""Small data sets in exactly the layouts of the public ones, made of smooth noise; nothing of real people."""

import csv
import json
import pickle
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_NAMES
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.recordings.datasets.public import CHANNELS

FACEVERSE_ORDER = tuple(BLENDSHAPE_NAMES[i] for i in np.random.default_rng(58).permutation(52))
"""Some order that is not ours; the real one is in a file that only its owners may pass on."""


def face(frames: int, seed: int) -> NDArray[np.float32]:
    """FaceVerse's (T, 1, 58): an identity in the expression, pitch about pi, a crop's translation."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None] / 25
    identity = rng.uniform(0, 0.4, 52)
    waves = 0.2 + 0.2 * np.sin(2 * np.pi * (rng.uniform(0.1, 0.6, 52) * t + rng.uniform(0, 1, 52)))
    angles = np.array([np.pi + 0.05, 0.1, -0.02]) + 0.15 * np.sin(t * rng.uniform(0.5, 2, 3))
    shift = np.array([0.0, 0.0, 1.8]) + 0.01 * rng.standard_normal((frames, 3))
    return np.concatenate([identity + waves, angles, shift], 1).astype(np.float32)[:, None]


def attributes(frames: int, seed: int) -> NDArray[np.float32]:
    """(T, 25): units 0 or 1, valence and arousal in -1..1, probabilities that sum to 1."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None] / 25
    units = (np.sin(2 * np.pi * (t * rng.uniform(0.1, 0.5, 15) + rng.uniform(0, 1, 15))) > 0.6).astype(float)
    affect = 0.5 * np.sin(t * rng.uniform(0.2, 1, 2))
    scores = np.exp(1.5 * np.sin(t * rng.uniform(0.2, 1, 8) + rng.uniform(0, 6, 8)))
    return np.concatenate([units, affect, scores / scores.sum(1, keepdims=True)], 1).astype(np.float32)


def write_sound(path: Path, seconds: float, rate_hz: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    samples = (6000 * np.sin(2 * np.pi * 180 * t) * (np.sin(2 * np.pi * t / 3) > 0)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


def write_array(path: Path, values: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def write_table(path: Path, names: tuple[str, ...], values: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(values.tolist())


def faceverse_model(path: Path) -> Path:
    """A model file of FaceVerse's kind: one pickled dictionary of arrays in a .npy file."""
    content = {"meanshape": np.zeros((4, 3)), "exBase": np.zeros((12, 52)), "exp_name_list": list(FACEVERSE_ORDER)}
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    return path


def hostile_model(path: Path) -> Path:
    """A model file whose pickle would write a file."""

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (path.with_suffix(".run"),))

    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(Hostile(), file)
    return path


REACT_CLIPS = (
    ("NoXI/010_2016-03-25_Paris/Expert_video/1", "NoXI/010_2016-03-25_Paris/Novice_video/1"),
    ("NoXI/010_2016-03-25_Paris/Expert_video/2", "NoXI/010_2016-03-25_Paris/Novice_video/2"),
    ("RECOLA/group-1/P25/1", "RECOLA/group-1/P26/1"),
    ("UDIVA/talk/005013/FC1/1", "UDIVA/talk/005013/FC2/1"),
)


def react(root: Path, *, frames: int = 751, splits: tuple[str, ...] = ("train", "val"), sound: bool = True) -> Path:
    """REACT2024: NoXI's attributes under P1 and P2, RECOLA's under the role's own name, one clip's as .npy."""
    root.mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(splits):
        with (root / f"{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["", "speaker_path", "listener_path"])
            writer.writerows([i, *clips] for i, clips in enumerate(REACT_CLIPS))
        for i, clip in enumerate(clip for clips in REACT_CLIPS for clip in clips):
            seed = 100 * number + i
            write_array(root / split / "3D_FV_files" / f"{clip}.npy", face(frames, seed))
            filed = clip.replace("Expert_video", "P1").replace("Novice_video", "P2")
            values = attributes(frames, seed)
            if clip.startswith("RECOLA"):
                write_array(root / split / "Emotion" / f"{filed}.npy", values)
            else:
                write_table(root / split / "Emotion" / f"{filed}.csv", ATTRIBUTE_NAMES, values)
            if sound:
                write_sound(root / split / "Audio_files" / f"{clip}.wav", frames / 25)
    return root


def react_neighbours(root: Path, split: str = "val") -> NDArray[np.float64]:
    """The split's matrix, over both directions of its list."""
    count = 2 * len(REACT_CLIPS)
    matrix = np.eye(count)
    matrix[0, 1] = matrix[5, 2] = 1
    np.save(root / f"neighbour_emotion_{split}.npy", matrix)
    return matrix


def react_all_neighbours(root: Path) -> NDArray[np.float64]:
    """The whole matrix over more clips than a split has, and their list, sorted otherwise."""
    rows = [
        ("RECOLA", "group-1", "1"), ("NoXI", "011_2016-03-25_Paris", "1"), ("UDIVA", "005013_talk", "1"),
        ("NoXI", "010_2016-03-25_Paris", "2"), ("NoXI", "010_2016-03-25_Paris", "1"),
    ]  # fmt: skip
    with (root / "data_indices.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("site", "chat_index", "clip_index"), *rows])
    matrix = np.random.default_rng(3).integers(0, 2, (10, 10)).astype(float)
    np.save(root / "Approprirate_facial_reaction.npy", matrix)
    return matrix


MARS_FILES = {
    "session0": ("Camera-2024-06-21-103121-103102", "Camera-2024-07-17-104338-104241"),
    "session10": ("Camera-2024-06-21-113121-113102",),
    "session2": ("Camera-2024-06-21-105000-104950",),
}


def mars(root: Path, *, split: str = "train", rate_hz: float = 30.0) -> Path:
    """Sessions of 2 to 4 s at 30 frames a second."""
    for s, (session, files) in enumerate(MARS_FILES.items()):
        for f, name in enumerate(files):
            frames = 60 + 30 * (s + f) + 1
            for r, role in enumerate(("speaker", "listener")):
                below, seed = f"{role}/{session}/{name}", 10 * s + 2 * f + r
                write_array(root / split / "coefficients" / f"{below}.npy", face(frames, seed))
                write_array(root / split / "facial-attributes" / f"{below}.npy", attributes(frames, seed))
                write_sound(root / split / "audio" / f"{below}.wav", frames / rate_hz)
    return root


def dualtalk(root: Path, *, split: str = "train", below: str = "ARKit_npy") -> Path:
    """Two conversations; the second one's arrays are tables."""
    (root / "metadata").mkdir(parents=True, exist_ok=True)
    entries = []
    for i, name in enumerate(("UbjUDM1MiGE_sub_video_72_000", "4V6riHOB4q4_sub_video_26")):
        entry: dict[str, Any] = {"name": name}
        frames = 80 + 20 * i
        for p in (1, 2):
            stem = f"{split}/{name}_speaker{p}"
            motion = np.clip(face(frames, 7 * i + p)[:, 0], 0, 1)
            values = np.zeros((frames, 61), np.float32)
            values[:, :52] = motion[:, :52]
            values[:, [i for i, n in enumerate(CHANNELS) if n.startswith("eyeLook") or n == "tongueOut"]] = 0
            values[:, 52:55] = face(frames, 7 * i + p)[:, 0, [53, 52, 54]] - np.array([0, np.pi, 0])
            suffix = ".csv" if i else ".npy"
            if i:
                write_table(root / below / f"{stem}.csv", tuple(c[0].upper() + c[1:] for c in CHANNELS), values)
            else:
                write_array(root / below / f"{stem}.npy", values)
            write_sound(root / f"{stem}.wav", frames / 25)
            entry[f"speaker{p}_arkit"] = f"{stem}{suffix}"
            entry[f"speaker{p}_audio"] = f"{stem}.wav"
            entry[f"speaker{p}_text"] = None
        entries.append(entry)
    (root / "metadata" / f"{split}.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))
    return root


def react_features(root: Path, widths: dict[str, int], *, splits: tuple[str, ...], frames: int = 751) -> Path:
    """Features of the predictors for `react(root, ...)`: a fixed mixture of the person's attributes; one as .npz."""
    rng = np.random.default_rng(9)
    mixers = {name: rng.standard_normal((25, width)).astype(np.float32) / 5 for name, width in widths.items()}
    names = (("Video_features", ("va", "au", "expression")), ("Audio_features", ("mfcc", "speech")))
    for number, split in enumerate(splits):
        for i, clip in enumerate(clip for clips in REACT_CLIPS for clip in clips):
            seen = attributes(frames, 100 * number + i)
            for folder, streams in names:
                path = root / "features" / split / folder / clip
                path.parent.mkdir(parents=True, exist_ok=True)
                arrays = {name: seen @ mixers[name] for name in streams}
                if i % 2:
                    np.savez(path.with_name(path.name + ".npz"), **arrays)
                else:
                    import torch

                    torch.save([torch.from_numpy(a) for a in arrays.values()], path.with_name(path.name + ".pth"))
    return root
