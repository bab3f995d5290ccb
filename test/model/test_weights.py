import hashlib
import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.backends.weights import (
    AGES,
    CARD,
    CONDITION_COUNT,
    GRAPHS,
    HIDDEN,
    LEFT_OUT,
    LOOKS,
    MANIFEST,
    NODS,
    NodHead,
    find_weights,
    read_nod_head,
)  # fmt: skip
from reactdiff_ros.model.diffusion.conditions import NETWORK_CONTROLS, STYLE_NAMES
from reactdiff_ros.model.diffusion.latents import LATENT_COUNT
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT

LIVE = Path(__file__).resolve().parents[2] / "resource" / "models" / "live"
LIVE_SHAPE = json.loads((LIVE / MANIFEST).read_text())["shape"]


@pytest.fixture
def copied(random_weights, tmp_path):
    shutil.copytree(random_weights, tmp_path / "live")
    return tmp_path / "live"


@pytest.fixture
def shipped(tmp_path):
    """The shipped manifest alone: what is wrong with it is said before another file is opened."""
    (tmp_path / "live").mkdir()
    shutil.copy(LIVE / MANIFEST, tmp_path / "live")
    return tmp_path / "live"


def rewrite(folder, **changes):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def test_shipped_weights_are_small_and_whole():
    weights = find_weights()
    sizes = [f.stat().st_size for f in weights.folder.iterdir()]
    assert max(sizes) < 8_000_000
    assert sum(sizes) < 32_000_000  # every network also in half precision, for GPUs
    assert (weights.folder / "README.md").is_file()
    assert (weights.folder / "model.safetensors").is_file()
    assert len(weights.simulator) >= 8
    assert sum(weights.parameters.values()) < 8_000_000


def test_what_the_manifest_tells(copied):
    weights = find_weights(copied)
    assert weights.shape["latent"] == LATENT_COUNT
    assert weights.simulator == "none"
    assert weights.name == "random"
    assert len(weights.digest) == 12
    assert set(weights.parameters) == {"encoder", "vae", "denoiser"}
    manifest = json.loads((copied / MANIFEST).read_text())
    assert manifest["conditions"] == [*NETWORK_CONTROLS, *STYLE_NAMES]
    assert manifest["groups"]["smile"][:2] == [0, 4]


def test_a_wheel_leaves_out_what_only_training_needs(copied):
    for name in LEFT_OUT:
        (copied / name).unlink(missing_ok=True)
    with pytest.raises(WeightsError, match="a wheel leaves out"):
        _ = find_weights(copied).tensors


def test_wrong_hash(copied):
    file = copied / "denoiser.onnx"
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match=r"not the one in its manifest.*denoiser\.onnx"):
        find_weights(copied)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", "null", '{"format": 3}', '{"format": 3, "files": []}'])
def test_unreadable_manifest(copied, text):
    (copied / MANIFEST).write_text(text)
    with pytest.raises(WeightsError, match=r"manifest .* unreadable"):
        find_weights(copied)


DEEP: list = []
for _ in range(500):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": 1}, "of another format"),
        ({"shape": {"width": "x"}}, "of another format"),
        ({"shape": []}, "of another format"),
        ({"name": 3}, "of another format"),
        ({"parameters": None}, "of another format"),
        ({"conditions": ["attitude"]}, "another version"),
        ({"groups": {"face": [0, 28]}}, "another version"),
        ({"groups": None}, "another version"),
        ({"files": [f"{name}.onnx" for name in GRAPHS]}, "of another format"),
        ({"files": {}}, "of another format"),
        ({"files": dict.fromkeys([f"{name}.onnx" for name in GRAPHS], 3)}, "names a file"),
        ({"emphasis": {"feedback": "none", "step": 1}}, "unreadable"),
        ({"emphasis": {"step": {"a": 1}}}, "unreadable"),
        ({"emphasis": {"step": [10**400] * LATENT_COUNT}}, "unreadable"),
        ({"emphasis": {"step": [[1.0], [1.0, 2.0]]}}, "unreadable"),
        ({"emphasis": {"step": DEEP}}, "unreadable"),
        ({"emphasis": ["step"]}, "unreadable"),
        ({"emphasis": {"step": [1.0]}}, "another version"),
        ({"emphasis": {"step": [1e300] * LATENT_COUNT}}, "no filter"),
        ({"emphasis": {"step": [float("nan")] * LATENT_COUNT}}, "no filter"),
        ({"emphasis": {"step": [0.0] * LATENT_COUNT}}, "no filter"),
        ({"head_mean": {"pitch": 1}}, "unreadable"),
        ({"head_mean": [[0.0, 0.0, 0.0]]}, "another version"),
        ({"head_mean": [[float("nan")] * 3] * 193}, "another version"),
        ({"name": "\ud800"}, "of another format"),
        ({"name": "a\nb"}, "of another format"),
        ({"simulator": "x" * 10_000}, "of another format"),
        ({"parameters": {"encoder": 10**30}}, "too large"),
    ],
)
def test_a_manifest_that_means_nothing(shipped, changes, why):
    rewrite(shipped, **changes)
    with pytest.raises(WeightsError, match=why) as caught:
        find_weights(shipped)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [10**6, 10**300])
def test_sizes_are_looked_at_before_anything_is_allocated(shipped, size):
    tracemalloc.start()
    try:
        for name in LIVE_SHAPE:
            rewrite(shipped, shape={**LIVE_SHAPE, name: size})
            with pytest.raises(WeightsError, match="size in the manifest of the model's weights is too large"):
                find_weights(shipped)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/b", "..", ".", "", "a\\b", "C:x", "a\0b", "\ud800"])
def test_no_file_beyond_the_folder_is_opened(shipped, name, monkeypatch):
    (shipped.parent / "secret").write_bytes(b"secret")
    files = json.loads((shipped / MANIFEST).read_text())["files"]
    rewrite(shipped, files={name: hashlib.sha256(b"secret").hexdigest(), **files})
    opened = []
    monkeypatch.setattr("reactdiff_ros.model.backends.weights.sha256", opened.append)
    with pytest.raises(WeightsError, match="names a file that is not one of its folder"):
        find_weights(shipped)
    assert not opened


@pytest.mark.parametrize("shape", [{}, {"width": 32}])
def test_networks_of_other_sizes(copied, shape):
    rewrite(copied, shape=shape)
    with pytest.raises(WeightsError, match="for another version"):
        Networks(find_weights(copied))


def test_shipped_graphs_give_what_torch_gave_for_whole_sequences():
    """The encoder streamed frame by frame, the autoencoder on a sequence, beside what the export recorded."""
    weights = find_weights()
    record = json.loads((weights.folder / "check.json").read_text())
    networks = Networks(weights)
    t = np.arange(record["frames"])[:, None]  # as training.export.check_features, which needs torch
    features = np.cos(0.37 * t + 1.7 * np.arange(FEATURE_COUNT)).astype(np.float32)
    observed = ((t // 7 + np.arange(STREAM_COUNT)) % 4 > 0).astype(np.float32)
    cache = networks.new_cache()
    for i in range(record["frames"]):
        token, new = networks.encode(features[i : i + 1], observed[i : i + 1], cache.past())
        cache.push(new)
        if str(i) in record["tokens"]:
            np.testing.assert_allclose(token[0, :16], record["tokens"][str(i)], atol=1e-4)
    listener = 0.2 * np.cos(0.1 * np.arange(40)[:, None] + np.arange(58)).astype(np.float32)
    latents = networks.latents(listener[None])
    made = {"latents": latents, "faces": networks.decode(latents), "attributes": networks.attributes(latents)}
    for name, width in (("faces", 58), ("attributes", 25)):
        assert made[name].shape == (1, 40 - 2 * VAE_CONTEXT, width)
    for name, values in made.items():
        np.testing.assert_allclose(values[0, -1], record[name], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "other"), [("vae_decoder", "attributes"), ("encoder", "denoiser"), ("context", "encoder")]
)
def test_a_network_in_the_place_of_another_is_refused(copied, name, other):
    shutil.copy(copied / f"{other}.onnx", copied / f"{name}.onnx")
    files = json.loads((copied / MANIFEST).read_text())["files"]
    rewrite(copied, files={**files, f"{name}.onnx": files[f"{other}.onnx"]})
    with pytest.raises(WeightsError, match=f"another version's.*{name}.onnx"):
        Networks(find_weights(copied))


# The network for nods

WRONG = (ValueError, OSError, KeyError, TypeError, zipfile.BadZipFile, EOFError)


def put(folder: Path, content: bytes | None = None, **more: object) -> None:
    """A head and its card into a folder."""
    path = folder / NODS
    shapes = {
        "tokens": (LOOKS * 4, HIDDEN), "known": (LOOKS, HIDDEN), "conditions": (CONDITION_COUNT, HIDDEN),
        "ages": (AGES, HIDDEN), "out": (HIDDEN,), "drive": (CONDITION_COUNT,), "bias": (),
    }  # fmt: skip
    NodHead(**{name: np.full(shape, 0.25, dtype=np.float32) for name, shape in shapes.items()}).write(path)
    if content is not None:
        path.write_bytes(content)
    card = {"encoder": "abc", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **more}
    (folder / CARD).write_text(json.dumps(card))


def test_a_file_gives_the_head_back(tmp_path: Path) -> None:
    assert read_nod_head(tmp_path, "abc", 4) is None
    put(tmp_path)
    again = read_nod_head(tmp_path, "abc", 4)
    assert again is not None
    assert again.bias == 0.25
    assert again.tokens.shape == (LOOKS * 4, HIDDEN)
    assert again.digest == hashlib.sha256((tmp_path / NODS).read_bytes()).hexdigest()[:12]


def test_another_file_and_other_weights_are_refused(tmp_path: Path) -> None:
    put(tmp_path)
    for encoder, width, says in (("other", 4, "reads tokens of the encoder abc"), ("abc", 5, "tokens is")):
        with pytest.raises(ValueError, match=says):
            read_nod_head(tmp_path, encoder, width)
    (tmp_path / NODS).write_bytes(b"")
    with pytest.raises(ValueError, match="not the file"):
        read_nod_head(tmp_path, "abc", 4)
    for content in (b"", b"nothing of the kind", b"PK\x03\x04"):
        put(tmp_path, content)
        with pytest.raises(WRONG):
            read_nod_head(tmp_path, "abc", 4)
    for card in ("", "[]", "{}", '{"encoder": 3}', "[" * 100_000):
        (tmp_path / CARD).write_text(card)
        with pytest.raises((*WRONG, RecursionError)):
            read_nod_head(tmp_path, "abc", 4)
