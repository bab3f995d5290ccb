"""What each of several processes runs in `test_two_processes_train_the_same_networks`."""

import sys
from pathlib import Path

import torch
from small_run import config

from reactdiff_ros.training.train import Trainer

if __name__ == "__main__":
    torch.set_num_threads(1)
    trainer = Trainer(config(steps=3), Path(sys.argv[1]))
    with torch.no_grad():  # as on GPUs, which do not sum alike: their autoencoders drift apart
        for parameter in trainer.model.vae.parameters():
            parameter.add_(0.01 * trainer.rank)
    list(trainer.run())
    sums = [
        sum(float(v.double().abs().sum()) for v in module.state_dict().values() if v.is_floating_point())
        for module in (trainer.model.vae, trainer.model, trainer.average)
    ]
    print(f"{trainer.rank} of {trainer.accelerator.num_processes}: {trainer.step} {sums!r}", flush=True)
