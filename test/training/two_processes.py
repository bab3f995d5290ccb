"""What each of several processes runs in `test_two_processes_train_the_same_networks`."""

import sys
from pathlib import Path

import torch
from small_run import config

from reactdiff_ros.training.train import Trainer

if __name__ == "__main__":
    torch.set_num_threads(1)
    trainer = Trainer(config(steps=3), Path(sys.argv[1]))
    list(trainer.run())
    total = sum(float(v.double().abs().sum()) for v in trainer.model.state_dict().values() if v.is_floating_point())
    print(f"{trainer.rank} of {trainer.accelerator.num_processes}: {trainer.step} {total!r}", flush=True)
