import json
import shutil

import numpy as np
import pytest

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.factory import make_listener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.weights import MANIFEST, find_weights


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(find_weights().folder, tmp_path / "live")
    return tmp_path / "live"


def test_shipped_weights_are_small_and_whole():
    weights = find_weights()
    sizes = [f.stat().st_size for f in weights.folder.iterdir()]
    assert max(sizes) < 4_000_000
    assert sum(sizes) < 12_000_000
    assert (weights.folder / "README.md").is_file()
    assert (weights.folder / "model.safetensors").is_file()


def test_missing(tmp_path):
    with pytest.raises(WeightsError, match=r"weights are missing.*make weights"):
        find_weights(tmp_path / "nowhere")
    with pytest.raises(WeightsError):
        make_listener("model", seed=0, config=ListenerConfig(model_dir=str(tmp_path)))


def test_wrong_hash(copied):
    file = copied / "denoiser.onnx"
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match=r"not the one in its manifest.*denoiser\.onnx"):
        find_weights(copied)


def test_file_gone(copied):
    (copied / "encoder.onnx").unlink()
    with pytest.raises(WeightsError, match="a file of the model's weights is missing"):
        find_weights(copied)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"format": 99, "files": {}, "shape": {}, "name": "x"}'])
def test_bad_manifest(copied, text):
    (copied / MANIFEST).write_text(text)
    with pytest.raises(WeightsError):
        find_weights(copied)


def test_graph_that_is_no_graph(copied):
    from reactdiff_ros.model.weights import sha256

    (copied / "context.onnx").write_bytes(b"nothing")
    manifest = json.loads((copied / MANIFEST).read_text())
    manifest["files"]["context.onnx"] = sha256(copied / "context.onnx")
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="cannot load a network"):
        Networks(find_weights(copied))


def test_streamed_graphs_give_what_torch_gave_for_whole_sequences():
    weights = find_weights()
    record = json.loads((weights.folder / "check.json").read_text())
    networks = Networks(weights)
    features, observed = _check_features(record["frames"])
    cache, window = networks.empty_cache(), weights.shape["window"]
    for i in range(record["frames"]):
        token, cache = networks.encode(features[i], observed[i], cache, min(i, window - 1))
        if str(i) in record["tokens"]:
            np.testing.assert_allclose(token[:16], record["tokens"][str(i)], atol=2e-4)
    listener = 0.2 * np.cos(0.1 * np.arange(40)[:, None] + np.arange(58)).astype(np.float32)
    latents = networks.latents(listener)
    np.testing.assert_allclose(latents[-1], record["latents"], atol=1e-3)
    faces = networks.decode(latents[None])
    assert faces.shape == (1, 40 - 2 * VAE_CONTEXT, 58)
    np.testing.assert_allclose(faces[0, -1], record["faces"], atol=1e-3)


def _check_features(frames):
    """As training.export.check_features, which needs torch."""
    from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT

    t = np.arange(frames)[:, None]
    features = np.cos(0.37 * t + 1.7 * np.arange(FEATURE_COUNT)).astype(np.float32)
    return features, ((t // 7 + np.arange(STREAM_COUNT)) % 4 > 0).astype(np.float32)
