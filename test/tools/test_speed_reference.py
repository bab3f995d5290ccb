"""The graphs of the published model that is timed next to ours are its networks."""

import numpy as np
import pytest

SMALL = {
    "va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6, "hidden": 16, "heads": 2, "latent": 16,
    "model_channels": 8, "channel_factors": [1, 2], "attention_at": [1], "residual_blocks": 1, "condition": 32,
}  # fmt: skip


def test_the_graphs_of_the_paper_are_its_networks(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from reactdiff_ros.model.backends.onnxruntime_backend import open_graph
    from reactdiff_ros.training.paper.config import from_dict
    from reactdiff_ros.training.paper.networks import export_parts
    from tools.speed.windows import paper_inputs, paper_model

    config = from_dict(SMALL)
    model = paper_model(config)
    for parameter in model.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    graphs = {name: open_graph(path, 1) for name, path in export_parts(model, tmp_path).items()}
    given = paper_inputs(config, 3)
    condition = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    steps = np.full(3, 7, dtype=np.int64)
    found = graphs["denoise"]({"x": given["x"], "known": given["known"], "steps": steps, "condition": condition})[0]
    with torch.no_grad():
        wanted = model.denoiser(*(torch.from_numpy(a) for a in (given["x"], given["known"], steps, condition)))
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)
