import json
import shutil

import numpy as np
import pytest

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.conditions import CONTROL_NAMES, STYLE_NAMES
from reactdiff_ros.model.factory import make_listener
from reactdiff_ros.model.groups import LATENT_COUNT
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import MANIFEST, find_weights


@pytest.fixture
def copied(random_weights, tmp_path):
    shutil.copytree(random_weights, tmp_path / "live")
    return tmp_path / "live"


def rewrite(folder, **changes):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def test_shipped_weights_are_small_and_whole():
    weights = find_weights()
    sizes = [f.stat().st_size for f in weights.folder.iterdir()]
    assert max(sizes) < 8_000_000
    assert sum(sizes) < 20_000_000
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
    assert manifest["conditions"] == [*CONTROL_NAMES, *STYLE_NAMES]
    assert manifest["groups"]["smile"][:2] == [0, 4]


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


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", "null", '{"format": 2}', '{"format": 2, "files": []}'])
def test_unreadable_manifest(copied, text):
    (copied / MANIFEST).write_text(text)
    with pytest.raises(WeightsError, match=r"manifest .* unreadable"):
        find_weights(copied)


@pytest.mark.parametrize(
    "changes",
    [{"format": 1}, {"shape": {}}, {"shape": {"width": "x"}}, {"shape": []}, {"name": 3}, {"parameters": None}],
)
def test_weights_of_another_format(copied, changes):
    rewrite(copied, **changes)
    with pytest.raises(WeightsError, match=r"another (format|version).*"):
        Networks(find_weights(copied))


@pytest.mark.parametrize(
    "changes",
    [{"conditions": ["attitude"]}, {"groups": {"face": [0, 28]}}, {"groups": None}, {"shape": {"width": 32}}],
)
def test_weights_whose_inputs_mean_something_else(copied, changes):
    rewrite(copied, **changes)
    with pytest.raises(WeightsError, match="for another version"):
        Networks(find_weights(copied))


def test_graph_that_is_no_graph(copied):
    from reactdiff_ros.model.weights import sha256

    (copied / "context.onnx").write_bytes(b"nothing")
    manifest = json.loads((copied / MANIFEST).read_text())
    manifest["files"]["context.onnx"] = sha256(copied / "context.onnx")
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="cannot load a network"):
        Networks(find_weights(copied))


def test_graphs_give_what_torch_gave_for_whole_sequences(random_weights):
    check_graphs(find_weights(random_weights))


def test_shipped_graphs_give_what_torch_gave_for_whole_sequences():
    check_graphs(find_weights())


def check_graphs(weights):
    """The encoder streamed frame by frame, the autoencoder on a sequence, beside what the export recorded."""
    record = json.loads((weights.folder / "check.json").read_text())
    networks = Networks(weights)
    features, observed = check_features(record["frames"])
    cache = networks.new_cache()
    for i in range(record["frames"]):
        token, new = networks.encode(features[i : i + 1], observed[i : i + 1], cache)
        cache.push(new)
        if str(i) in record["tokens"]:
            np.testing.assert_allclose(token[0, :16], record["tokens"][str(i)], atol=1e-4)
    listener = 0.2 * np.cos(0.1 * np.arange(40)[:, None] + np.arange(58)).astype(np.float32)
    latents = networks.latents(listener[None])
    np.testing.assert_allclose(latents[0, -1], record["latents"], atol=1e-3)
    faces, attributes = networks.decode(latents), networks.attributes(latents)
    assert faces.shape == (1, 40 - 2 * VAE_CONTEXT, 58)
    assert attributes.shape == (1, 40 - 2 * VAE_CONTEXT, 25)
    np.testing.assert_allclose(faces[0, -1], record["faces"], atol=1e-3)
    np.testing.assert_allclose(attributes[0, -1], record["attributes"], atol=1e-3)


def check_features(frames):
    """As training.export.check_features, which needs torch."""
    t = np.arange(frames)[:, None]
    features = np.cos(0.37 * t + 1.7 * np.arange(FEATURE_COUNT)).astype(np.float32)
    return features, ((t // 7 + np.arange(STREAM_COUNT)) % 4 > 0).astype(np.float32)
