"""Weights in a folder: whole and small as they ship; whatever else is there is refused before anything is allocated."""

from __future__ import annotations

import hashlib
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.backends.weights import GRAPHS, LEFT_OUT, find_weights, read_nod_head
from reactdiff_ros.model.diffusion.latents import LATENT_COUNT
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT

MANIFEST = "manifest.json"
LIVE = Path(__file__).resolve().parents[2] / "resource" / "models" / "live"
LIVE_SHAPE = json.loads((LIVE / MANIFEST).read_text())["shape"]


@pytest.fixture
def copied(random_weights, tmp_path):
    return Path(shutil.copytree(random_weights, tmp_path / "live"))


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
    assert sum(weights.parameters.values()) < 8_000_000
    assert weights.tensors.is_file()


def test_a_wheel_leaves_out_what_only_training_needs(copied):
    for name in LEFT_OUT:
        (copied / name).unlink(missing_ok=True)
    weights = find_weights(copied)
    assert set(weights.parameters) == {"encoder", "vae", "denoiser"}
    with pytest.raises(WeightsError, match="a wheel leaves out"):
        _ = weights.tensors


def test_a_missing_or_changed_file_is_named(copied):
    file = copied / "denoiser.onnx"
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match=r"not the one in its manifest.*denoiser\.onnx"):
        find_weights(copied)
    file.unlink()
    with pytest.raises(WeightsError, match=r"missing.*denoiser\.onnx"):
        find_weights(copied)
    with pytest.raises(WeightsError, match="missing"):
        find_weights(copied / "elsewhere")


@pytest.mark.parametrize("text", ["", "[]", "not json", '{"format": 3}'])
def test_an_unreadable_manifest_is_a_sentence(copied, text):
    (copied / MANIFEST).write_text(text)
    with pytest.raises(WeightsError, match=r"manifest .* unreadable"):
        find_weights(copied)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": 1}, "of another format"),
        ({"shape": {"width": "x"}}, "of another format"),
        ({"name": "a\nb"}, "of another format"),
        ({"simulator": "x" * 10_000}, "of another format"),
        ({"parameters": None}, "of another format"),
        ({"learnt": [3]}, "of another format"),
        ({"files": [f"{name}.onnx" for name in GRAPHS]}, "of another format"),
        ({"files": {}}, "of another format"),
        ({"files": dict.fromkeys([f"{name}.onnx" for name in GRAPHS], 3)}, "names a file"),
        ({"conditions": ["attitude"]}, "another version"),
        ({"groups": {"face": [0, 28]}}, "another version"),
        ({"emphasis": ["step"]}, "unreadable"),
        ({"emphasis": {"step": [[1.0], [1.0, 2.0]]}}, "unreadable"),
        ({"emphasis": {"step": [1.0]}}, "another version"),
        ({"emphasis": {"step": [1e300] * LATENT_COUNT}}, "no filter"),
        ({"emphasis": {"step": [0.0] * LATENT_COUNT}}, "no filter"),
        ({"head_mean": {"pitch": 1}}, "unreadable"),
        ({"head_mean": [[0.0, 0.0, 0.0]]}, "another version"),
        ({"head_mean": [[float("nan")] * 3] * 193}, "another version"),
        ({"parameters": {"encoder": 10**30}}, "too large"),
    ],
)
def test_a_manifest_that_means_nothing_is_refused(shipped, changes, why):
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


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/b", "..", "", "a\\b", "C:x", "a\0b", "\ud800"])
def test_no_file_beyond_the_folder_is_opened(shipped, name):
    (shipped.parent / "secret").write_bytes(b"secret")
    files = json.loads((shipped / MANIFEST).read_text())["files"]
    rewrite(shipped, files={name: hashlib.sha256(b"secret").hexdigest(), **files})
    with pytest.raises(WeightsError, match="names a file that is not one of its folder"):
        find_weights(shipped)


@pytest.mark.parametrize("shape", [{}, {"width": 32}])
def test_networks_of_other_sizes_are_refused(copied, shape):
    rewrite(copied, shape=shape)
    with pytest.raises(WeightsError, match="for another version"):
        Networks(find_weights(copied))


def test_a_network_in_the_place_of_another_is_refused(copied):
    shutil.copy(copied / "denoiser.onnx", copied / "encoder.onnx")
    files = json.loads((copied / MANIFEST).read_text())["files"]
    rewrite(copied, files={**files, "encoder.onnx": files["denoiser.onnx"]})
    with pytest.raises(WeightsError, match=r"another version's.*encoder\.onnx"):
        Networks(find_weights(copied))


def test_shipped_graphs_give_what_torch_gave_for_whole_sequences():
    """The encoder streamed frame by frame and at once, the autoencoder on a sequence, beside what the export gave."""
    weights = find_weights()
    record = json.loads((weights.folder / "check.json").read_text())
    networks = Networks(weights)
    t = np.arange(record["frames"])[:, None]  # as training.export.check_features, which needs torch
    features = np.cos(0.37 * t + 1.7 * np.arange(FEATURE_COUNT)).astype(np.float32)
    observed = ((t // 7 + np.arange(STREAM_COUNT)) % 4 > 0).astype(np.float32)
    at_once, cache = networks.encode_sequence(features[None], observed[None])[0], networks.new_cache()
    for i in range(record["frames"]):
        token, new = networks.encode(features[i : i + 1], observed[i : i + 1], cache.past())
        cache.push(new)
        np.testing.assert_allclose(token[0], at_once[i], atol=1e-4)
        if str(i) in record["tokens"]:
            np.testing.assert_allclose(token[0, :16], record["tokens"][str(i)], atol=1e-4)
    listener = 0.2 * np.cos(0.1 * np.arange(40)[:, None] + np.arange(58)).astype(np.float32)
    latents = networks.latents(listener[None])
    made = {"latents": latents, "faces": networks.decode(latents), "attributes": networks.attributes(latents)}
    for name, width in (("faces", 58), ("attributes", 25)):
        assert made[name].shape == (1, 40 - 2 * VAE_CONTEXT, width)
    for name, values in made.items():
        np.testing.assert_allclose(values[0, -1], record[name], atol=1e-3)


# The network for nods


@pytest.fixture
def nods(tmp_path):
    """The shipped one, alone in a folder, with what it says of itself."""
    for name in ("nods.npz", "nods.json"):
        shutil.copy(LIVE / name, tmp_path)
    return tmp_path, json.loads((tmp_path / "nods.json").read_text())["encoder"], LIVE_SHAPE["width"]


def test_the_head_of_nods_is_read_as_written_and_only_for_its_own_encoder(nods):
    folder, encoder, width = nods
    head = read_nod_head(folder, encoder, width)
    assert head.digest == find_weights().nods.digest
    for wrong, size, says in (("other", width, f"of the encoder {encoder}"), (encoder, 5, "tokens is")):
        with pytest.raises(ValueError, match=says):
            read_nod_head(folder, wrong, size)
    head.write(folder / "nods.npz")
    card = {"encoder": encoder, "sha256": hashlib.sha256((folder / "nods.npz").read_bytes()).hexdigest()}
    (folder / "nods.json").write_text(json.dumps(card))
    again = read_nod_head(folder, encoder, width)
    np.testing.assert_array_equal(again.tokens, head.tokens)
    (folder / "nods.json").unlink()
    assert read_nod_head(folder, encoder, width) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [("npz", b""), ("npz", b"nothing of the kind"), ("npz", b"PK\x03\x04"), ("json", b""), ("json", b"[]"),
     ("json", b'{"encoder": 3}'), ("json", b"[" * 100_000)],
)  # fmt: skip
def test_a_broken_head_of_nods_is_a_sentence(copied, name, content):
    raw = (copied / MANIFEST).read_bytes()
    card = {"encoder": json.loads(raw).get("encoder", hashlib.sha256(raw).hexdigest()[:12])}
    (copied / "nods.json").write_text(json.dumps({**card, "sha256": hashlib.sha256(content).hexdigest()}))
    (copied / f"nods.{name}").write_bytes(content)
    with pytest.raises(WeightsError, match="when to nod does not fit"):
        find_weights(copied)
