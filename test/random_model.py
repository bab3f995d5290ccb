"""Small networks with random weights, for tests of everything that runs networks and needs no trained ones."""

from pathlib import Path
from typing import Any

SIZES = {
    "stream_width": 16, "width": 32, "heads": 2, "encoder_layers": 3, "window": 6, "dilation": 2, "vae_width": 4,
    "attribute_width": 8, "denoiser_layers": 2,
}  # fmt: skip


def random_model(seed: int = 0, **sizes: int) -> Any:
    """A `training.nets.Model` in torch. Its faces move visibly, and with the speaker."""
    import torch

    from reactdiff_ros.model.diffusion.latents import feedback
    from reactdiff_ros.training.nets import Model, Shape

    torch.set_num_threads(1)  # small tensors, busy machines
    torch.manual_seed(seed)
    model = Model(Shape(**{**SIZES, **sizes}))
    with torch.no_grad():
        model.vae.scale.fill_(0.3)
        model.vae.feedback.copy_(torch.from_numpy(feedback()))
        model.vae.step.fill_(0.25)
        model.denoiser.out.weight.mul_(3.0)
        for layer in model.denoiser.layers:
            layer.cross.out.weight.mul_(4.0)
        for layer in model.encoder.layers:
            layer.age.normal_(0.0, 0.5)
    return model.eval()


def write_random_weights(folder: Path, seed: int = 0, **sizes: int) -> Path:
    """Export such networks into `folder`."""
    from reactdiff_ros.training.export import export_model

    export_model(random_model(seed, **sizes), folder, name="random", facts={"simulator": "none"})
    return folder
