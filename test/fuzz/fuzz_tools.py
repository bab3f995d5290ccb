"""What parses files, as functions from bytes; what they are fed with; how much of it.

A target takes the content of a file and a folder to put it in. It may return or raise a ReactdiffError with one line;
anything else is a defect. What once was one lies in corpus/TARGET/ and is tried again in every run.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from bag_making import speaker_bag
from generated_sets import write_sound
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from reactdiff_ros.actuation.kept_state import Kept
from reactdiff_ros.actuation.robot.calibration import load_calibration
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.capture.compressed import decode_compressed
from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics.bands import load_bands
from reactdiff_ros.evaluation.metrics.react import load_arrays
from reactdiff_ros.evaluation.report.tables import load_published
from reactdiff_ros.evaluation.results import read_result
from reactdiff_ros.launching.configuration import effective, read_settings
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.recordings.bags.read import BagSource
from reactdiff_ros.recordings.datasets import recording, recordings
from reactdiff_ros.recordings.datasets.public import expression_names
from reactdiff_ros.recordings.replay import settings_as_live
from reactdiff_ros.styles import load_styles
from tools.faults.catalogue import kept
from tools.pages import page

ROOT = Path(__file__).resolve().parents[2]
LIVE = ROOT / "resource" / "models" / "live"
CORPUS = Path(__file__).parent / "corpus"
TIMES = int(os.environ.get("REACTDIFF_FUZZ") or 1)
"""`make test-long` tries so many times as much."""

Target = Callable[[bytes, Path], Any]


def examples(count: int, most: int = 100_000) -> settings:
    """So many examples, or TIMES as many, but `most` at most."""
    return settings(
        max_examples=min(count * TIMES, most), deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )  # fmt: skip


def value_or_sentence(target: Target, content: bytes, folder: Path) -> Any:
    """What the target makes of it; None where it says a sentence, which must be one line of a readable length."""
    try:
        return target(content, folder)
    except ReactdiffError as error:
        sentence = str(error)
    # Several problems of one file are several lines (profiles), each a sentence.
    assert sentence.strip()
    assert max(map(len, sentence.splitlines())) < 2000
    return None


def _file(name: str, read: Callable[..., Any], *more: Any) -> Target:
    """A file of this name, which a function reads."""

    def target(content: bytes, folder: Path) -> Any:
        (folder / name).write_bytes(content)
        return read(folder / name, *more)

    return target


def _saved(path: Path) -> Any:
    joints: Any = {"jaw": SimpleNamespace(unit="us", lower=1480.0, upper=1900.0)}
    values = Kept(path.parent, path.stem, joints).commands()
    assert all(1480.0 <= value <= 1900.0 for value in values.values())
    return values


def _media(name: str, source: Callable[[Path], Any]) -> Target:
    """All of a recording."""
    return _file(name, lambda path: sum(1 for _ in source(path).pictures_and_sound()))


def _dataset(name: str, read: Callable[..., Any], *more: Any) -> Target:
    """A file of a data set, whose numbers are finite."""
    load = _file(name, read, *more)

    def target(content: bytes, folder: Path) -> Any:
        found = load(content, folder)
        assert np.isfinite(found[0]).all()
        return found

    return target


def _manifest(content: bytes, folder: Path) -> Any:
    """The manifest of weights, the other files being whole."""
    (folder / "manifest.json").write_bytes(content)
    return find_weights(folder)


def _network(content: bytes, folder: Path) -> Any:
    """One network's file, which the manifest names by its hash."""
    for file in LIVE.glob("*.onnx"):
        if file.name != "denoiser.onnx" and not (folder / file.name).exists():
            os.symlink(file, folder / file.name)
    (folder / "denoiser.onnx").write_bytes(content)
    manifest = json.loads((LIVE / "manifest.json").read_text())
    manifest["files"]["denoiser.onnx"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Networks(find_weights(folder))


def _compressed(content: bytes, _folder: Path) -> Any:
    picture = decode_compressed("jpeg", content)
    assert picture.shape[2:] == (3,)
    return picture


TARGETS: dict[str, Target] = {
    "styles": _file("styles.yaml", load_styles),
    "profile": _file("robot.yaml", load_profile),
    "settings": _file("config.yaml", lambda path: effective({}, read_settings(path))),
    "parameters": _file(
        "parameters.yaml", lambda path: (LiveOptions(params_file=path), settings_as_live(params_file=path))
    ),
    "bands": _file("bands.yaml", load_bands),
    "published": _file("published.yaml", load_published),
    "calibration": _file("robot.json", load_calibration),
    "saved": _file("saved.json", _saved),
    "manifest": _manifest,
    "network": _network,
    "faults": _file("faults.json", kept),
    "evidence": _file("evidence.json", lambda path: page("evidence", path)),
    "result": _file("result.npz", read_result),
    "arrays": _file("arrays.npz", load_arrays),
    "picture": _compressed,
    "clip": _media("clip.mp4", MediaClip),
    "sound": _media("sound.wav", MediaClip),
    "array": _dataset("x.npy", recording.load_array, "numbers", 4),
    "table": _dataset("x.csv", recording.load_table, "labels", ("a", "b")),
    "voice": _dataset("x.wav", recording.load_sound, 1, 25.0),
    "names": _file("names.txt", expression_names),
    "recording": _file("x.npz", recordings.load),
    "mcap": _media("bag.mcap", BagSource),
    "db3": _media("bag.db3", BagSource),
}
SLOW = {"clip", "evidence", "sound", "mcap", "db3", "network", "profile", "parameters", "settings", "bands"}
"""A call takes milliseconds and more."""


@cache
def seeds(target: str) -> tuple[bytes, ...]:
    """Whole files of the target's kind, and what the corpus has."""
    whole = WHOLE[target]
    files = whole() if callable(whole) else [path.read_bytes() for path in sorted(ROOT.glob(whole))]
    return (*files, *corpus(target))


def corpus(target: str) -> list[bytes]:
    """Everything that is kept of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]


def _written(pattern: str, write: Callable[[Path], Any]) -> Callable[[], list[bytes]]:
    """What a function writes into a folder under such a name."""

    def files() -> list[bytes]:
        with tempfile.TemporaryDirectory(prefix="reactdiff-fuzz-") as folder:
            write(Path(folder))
            return [path.read_bytes() for path in sorted(Path(folder).rglob(pattern))]

    return files


def _write_recording(folder: Path) -> None:
    values = np.full((5, 58), 0.5, np.float32)
    speaker = recording.speaker_of(5, coefficients=values, observed=np.ones(58, bool))
    extracted = recordings.Extracted("p", "1", "b", speaker, np.arange(5), values, values > 0)
    recordings.save(folder / "x.npz", extracted)


def _write_film(folder: Path) -> None:
    writer = cv2.VideoWriter(str(folder / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for i in range(5):
        writer.write(np.full((48, 64, 3), 40 * i, np.uint8))
    writer.release()


def _write_pictures(folder: Path) -> None:
    for ending in (".jpg", ".png", ".webp"):
        cv2.imwrite(str(folder / f"x{ending}"), np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3))


def _write_arrays(folder: Path) -> None:
    np.save(folder / "1.npy", np.ones((3, 4), "f4"))
    np.save(folder / "2.npy", np.ones((3, 1, 4), "i2"))
    np.savez(folder / "result.npz", head=np.frombuffer(b'{"format": 1}', np.uint8))
    faces = np.zeros((1, 2, 30, 25), np.float32)
    np.savez(folder / "arrays.npz", prediction=faces, listener=faces)


WHOLE: dict[str, str | Callable[[], list[bytes]]] = {
    "styles": "config/styles.yaml",
    "profile": "config/robots/*.yaml",
    "bands": "config/report/human_bands.yaml",
    "published": "config/report/published_react.yaml",
    "manifest": "resource/models/live/manifest.json",
    "evidence": "docs/evidence.json",
    "faults": "docs/reliability.json",
    "settings": lambda: [
        b"format: 1\narguments: {robot: ohbot, camera: 2, lan: true, namespace: anna}\n"
        b"parameters:\n  '*': {style: warm}\n  expression_node: {intensity: 0.5}\n"
    ],
    "parameters": lambda: [b"/**:\n  ros__parameters:\n    seed: 3\n    style: warm\n    smiling: 0.5\n"],
    "calibration": lambda: [
        b'{"jaw": {"id": 1, "drive_mode": 0, "homing_offset": 3, "range_min": 900, "range_max": 2100}}'
    ],
    "saved": lambda: [b'{"jaw": [1500.0, "us"], "brow": -1e-3}', b'{"jaw": 1600}'],
    "network": lambda: [(LIVE / "denoiser.onnx").read_bytes()[:4000]],
    "result": _written("result.npz", _write_arrays),
    "arrays": _written("arrays.npz", _write_arrays),
    "array": _written("*.npy", _write_arrays),
    "picture": _written("x.*", _write_pictures),
    "clip": _written("film.avi", _write_film),
    "sound": _written("x.wav", lambda folder: write_sound(folder / "x.wav", 0.1)),
    "voice": _written("x.wav", lambda folder: write_sound(folder / "x.wav", 0.1)),
    "table": lambda: [b"a,b\n1,2\n3,1e3\n", b'b,x,a\n"1",nan,3\n'],
    "names": lambda: ["\n".join(BLENDSHAPE_NAMES).encode()],
    "recording": _written("x.npz", _write_recording),
    "mcap": _written("*.mcap", lambda folder: speaker_bag(folder / "bag", frames=5, storage="mcap")),
    "db3": _written("*.db3", lambda folder: speaker_bag(folder / "bag", frames=5, storage="sqlite3")),
}
"""Where whole files are, or what makes them."""
NASTY = (
    b"", b"\0", b"\xff\xfe", b"[" * 5000, b"{" * 5000, b"a: " * 3000, b"NaN", b"Infinity", b"-1e999", b"1" * 5000,
    b"null", b"true", b"2001-99-99", b"&a [*a]", b"*a", b"!!python/object/apply:os.system [id]", b"? [", b"<<: [1]",
    b'{"a": 1e999}', b"\xf0\x9f\x99\x82", b"%YAML 9.9\n---\n", b"--- !<tag:x> y", b"0x" + b"f" * 400, b"9" * 400,
)  # fmt: skip
"""What has broken parsers before."""
NUMBERS = (b"9" * 20, b"9" * 320, b"9" * 5000, b"1e-320", b"1e999", b"-1e308", b"true")
"""What numbers are replaced by."""


@st.composite
def damaged(draw: st.DrawFn, target: str) -> bytes:
    """A whole file with bytes changed, cut out, doubled or put in; seldom any bytes."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=400))
    if kind == 1:
        return draw(st.sampled_from(NASTY))
    content = bytearray(draw(st.sampled_from(seeds(target))))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 40))
        what = draw(st.sampled_from(("change", "cut", "double", "nasty", "number", "digits", "end")))
        if what == "change" and at < len(content):
            content[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del content[at : at + length]
        elif what == "double":
            content[at:at] = content[at : at + length]
        elif what == "nasty":
            content[at : at + length] = draw(st.sampled_from(NASTY))
        elif what == "number":
            content[at : at + 4] = draw(st.integers(0, 2**32 - 1)).to_bytes(4, "little")
        elif what == "digits" and (number := re.search(rb"[0-9.]+", content[at:])):
            content[at + number.start() : at + number.end()] = draw(st.sampled_from(NUMBERS))
        elif what == "end":
            del content[at:]
    return bytes(content)
