"""The speaker's encoder: causal, streaming equals the batch pass, streams that are not observed are not looked at."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")

from random_model import random_model  # noqa: E402

from reactdiff_ros.model.runtime import KeyCache, Networks  # noqa: E402
from reactdiff_ros.model.weights import find_weights  # noqa: E402
from reactdiff_ros.training.encoder import EncoderStep, Temporal  # noqa: E402
from reactdiff_ros.training.export import check_features  # noqa: E402
from reactdiff_ros.training.torch_backend import Torch  # noqa: E402

FRAMES = 70


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def inputs():
    return tuple(torch.from_numpy(a)[None] for a in check_features(FRAMES))


def test_streaming_equals_the_batch_pass(model, inputs):
    """Two speakers at once, longer than the encoder looks back, with the cache that the runtime uses."""
    features, observed = (torch.cat([x, x.flip(1)]) for x in inputs)
    assert model.shape.reach < FRAMES
    step, cache = EncoderStep(model.encoder), KeyCache(model.shape.as_dict(), 2)
    with torch.no_grad():
        whole = model.encoder(features, observed)
        for t in range(FRAMES):
            past, mask = (torch.from_numpy(a) for a in cache.past())
            token, new = step(features[:, t], observed[:, t], past, mask)
            cache.push(new.numpy())
            torch.testing.assert_close(token, whole[:, t], atol=1e-5, rtol=1e-4)


def test_the_exported_graph_streams_the_same(model, inputs, random_weights):
    networks = Networks(find_weights(random_weights))
    cache = networks.new_cache()
    with torch.no_grad():
        whole = model.encoder(*inputs)[0].numpy()
    features, observed = (x[0].numpy() for x in inputs)
    for t in range(FRAMES):
        token, new = networks.encode(features[t : t + 1], observed[t : t + 1], cache.past())
        cache.push(new)
        np.testing.assert_allclose(token[0], whole[t], atol=1e-4)


def test_causal(model, inputs):
    features, observed = inputs
    other = features.clone()
    other[:, 40:] += 1
    with torch.no_grad():
        a, b = model.encoder(features, observed), model.encoder(other, observed)
    torch.testing.assert_close(a[:, :40], b[:, :40], atol=1e-6, rtol=1e-6)
    assert (a[:, 40:] - b[:, 40:]).abs().amin(-1).max() > 1e-6


def test_it_looks_back_as_far_as_it_says_and_no_further(model, inputs):
    features, observed = inputs
    reach = model.shape.reach

    def change(age):
        other = features.clone()
        other[:, FRAMES - 1 - age] += 3
        with torch.no_grad():
            return (model.encoder(features, observed) - model.encoder(other, observed))[:, -1].abs().max()

    assert change(reach) > 0
    assert change(reach + 1) == 0


@pytest.mark.parametrize(("frames", "stride"), [(10, 3), (11, 3), (12, 3), (2, 3), (9, 1)])
def test_strided_attention_is_attention_over_every_nth_frame(frames, stride):
    torch.manual_seed(0)
    layer = Temporal(16, 2, 3, stride)
    torch.nn.init.normal_(layer.age)
    x = torch.randn(2, frames, 16)

    def run(x):
        padded = torch.nn.functional.pad(x, (0, 0, 0, -x.shape[1] % stride))
        return layer(padded, torch.arange(padded.shape[1]))[:, : x.shape[1]]

    with torch.no_grad():
        out = run(x)
        for t in range(frames):
            alone = run(x[:, : t + 1])[:, -1]
            torch.testing.assert_close(out[:, t], alone, atol=1e-5, rtol=1e-5)
            if t >= stride:
                other = x.clone()
                other[:, t - stride + 1 : t] += 1  # frames between the strides
                torch.testing.assert_close(run(other)[:, t], out[:, t], atol=1e-5, rtol=1e-5)


def test_the_torch_backend_runs_whole_sequences(model):
    features, observed = check_features(2 * model.shape.longest_stride)
    given = {"features": features[None], "observed": observed[None], "number": np.arange(len(features))}
    (tokens,) = Torch(model).run("encoder_sequence", given)
    with torch.no_grad():
        whole = model.encoder(torch.from_numpy(features)[None], torch.from_numpy(observed)[None])
    np.testing.assert_allclose(tokens, whole, atol=1e-5)


def test_unobserved_streams_are_masked(model):
    features, observed = (torch.from_numpy(a) for a in check_features(3))
    observed[:] = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    other = features.clone()
    other[:, -20:] += 3
    with torch.no_grad():
        torch.testing.assert_close(model.encoder.fuse(features, observed), model.encoder.fuse(other, observed))
        nothing = model.encoder.fuse(features, torch.zeros_like(observed))
    assert torch.isfinite(nothing).all()


def test_each_class_reaches_the_token_and_changes_what_the_other_says(model):
    """Inter-class attention: what the face adds depends on the voice."""
    features, _ = (torch.from_numpy(a) for a in check_features(1))

    def token(face, voice):
        observed = torch.tensor([[face, face, face, voice, voice]], dtype=torch.float32)
        with torch.no_grad():
            return model.encoder.fuse(features, observed)

    both, face, voice, none = token(1, 1), token(1, 0), token(0, 1), token(0, 0)
    assert (both - face).abs().max() > 1e-3
    assert (both - voice).abs().max() > 1e-3
    assert (both - face - voice + none).abs().max() > 1e-4
