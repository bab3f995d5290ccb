"""Weights in a folder: whole and small as they ship; whatever else is there is refused before anything is allocated."""

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


MEANINGLESS = {
    "unreadable": ["", "[]", '{"format": 3}', {"emphasis": ["step"]}, {"emphasis": {"step": [[1.0], [1.0, 2.0]]}}],
    "of another format": [
        {"format": 1}, {"shape": {"width": "x"}}, {"name": "a\nb"}, {"simulator": "x" * 10_000}, {"parameters": None},
        {"learnt": [3]}, {"files": {}}, {"files": [f"{name}.onnx" for name in GRAPHS]},
    ],
    "names a file": [{"files": dict.fromkeys([f"{name}.onnx" for name in GRAPHS], 3)}],
    "another version": [
        {"conditions": ["attitude"]}, {"emphasis": {"step": [1.0]}}, {"head_mean": [[0.0, 0.0, 0.0]]},
        {"head_mean": [[float("nan")] * 3] * 193}, {"emphasis": {"feedback": [[0.0]] * 5}},
    ],
    "no filter": [{"emphasis": {"step": [size] * LATENT_COUNT}} for size in (0.0, 1e300)],
    "too large": [{"parameters": {"encoder": 10**30}}],
}  # fmt: skip


@pytest.mark.parametrize(("why", "written"), [(why, written) for why in MEANINGLESS for written in MEANINGLESS[why]])
def test_a_manifest_that_means_nothing_is_refused(shipped, why, written):
    if isinstance(written, str):
        (shipped / MANIFEST).write_text(written)
    else:
        rewrite(shipped, **written)
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


def test_networks_of_other_sizes_and_one_in_the_place_of_another_are_refused(copied):
    manifest = json.loads((copied / MANIFEST).read_text())
    for shape in ({}, {"width": 32}):
        rewrite(copied, shape=shape)
        with pytest.raises(WeightsError, match="for another version"):
            Networks(find_weights(copied))
    shutil.copy(copied / "denoiser.onnx", copied / "encoder.onnx")
    files = {**manifest["files"], "encoder.onnx": manifest["files"]["denoiser.onnx"]}
    rewrite(copied, shape=manifest["shape"], files=files)
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


def test_the_head_of_nods_is_read_as_written_and_only_for_its_own_encoder(tmp_path):
    shipped = find_weights()
    encoder, width, head = shipped.encoder, LIVE_SHAPE["width"], shipped.nods
    for wrong, size, says in (("other", width, f"of the encoder {encoder}"), (encoder, 5, "tokens is")):
        with pytest.raises(ValueError, match=says):
            read_nod_head(LIVE, wrong, size)
    assert read_nod_head(tmp_path, encoder, width) is None
    head.write(tmp_path / "nods.npz")
    written = hashlib.sha256((tmp_path / "nods.npz").read_bytes()).hexdigest()
    (tmp_path / "nods.json").write_text(json.dumps({"encoder": encoder, "sha256": written}))
    np.testing.assert_array_equal(read_nod_head(tmp_path, encoder, width).tokens, head.tokens)


@pytest.mark.parametrize(
    ("name", "content"),
    [("npz", b""), ("npz", b"nothing of the kind"), ("npz", b"PK\x03\x04"), ("json", b""), ("json", b"[]"),
     ("json", b'{"encoder": 3}'), ("json", b"[" * 100_000)],
)  # fmt: skip
def test_a_broken_head_of_nods_is_a_sentence(copied, name, content):
    card = {"encoder": find_weights(copied).encoder, "sha256": hashlib.sha256(content).hexdigest()}
    (copied / "nods.json").write_text(json.dumps(card))
    (copied / f"nods.{name}").write_bytes(content)
    with pytest.raises(WeightsError, match="when to nod does not fit"):
        find_weights(copied)
