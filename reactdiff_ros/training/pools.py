"""Where a run's pools come from: simulated now, or in other processes while this one trains."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from reactdiff_ros.simulator.seeds import Purpose, purpose_seed
from reactdiff_ros.simulator.voices import VoiceBank, load_bank

from .config import TrainConfig
from .data import Pool, simulated_pool


def make_pool(config: TrainConfig, purpose: Purpose, number: int, bank: VoiceBank | None = None) -> Pool:
    """The `number`-th pool of a run."""
    voices = bank if bank is not None or not config.bank else load_bank(Path(config.bank))
    return simulated_pool(purpose_seed(purpose, config.seed, number), config, voices)


class Pools:
    """The training pools of a run by number; `config.workers` processes make those that will follow."""

    def __init__(self, config: TrainConfig, first: int = 0, stride: int = 1) -> None:
        """`first` and `stride`: this process's share of the numbers, where several train together."""
        self._config, self._first, self._stride = config, first, stride
        self.bank = load_bank(Path(config.bank)) if config.bank else None
        self._executor: ProcessPoolExecutor | None = None
        self._ahead: dict[int, Future[Pool]] = {}
        if config.workers:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(max_workers=config.workers, mp_context=context)

    def get(self, number: int) -> Pool:
        """The pool of this number: the same whoever makes it."""
        self._ask_ahead(number)
        ahead = self._ahead.pop(number, None)
        if ahead is not None:
            try:
                return ahead.result()
            except BrokenProcessPool:  # killed, for memory perhaps: go on without them
                self._executor, self._ahead = None, {}
        return make_pool(self._config, "train", self._number(number), self.bank)

    def _ask_ahead(self, number: int) -> None:
        """Have a pool a process made from this number on, and forget earlier ones."""
        self._ahead = {n: future for n, future in self._ahead.items() if n >= number}
        if self._executor is None:
            return
        for n in range(number, number + self._config.workers):
            if n not in self._ahead:
                self._ahead[n] = self._executor.submit(make_pool, self._config, "train", self._number(n))

    def _number(self, number: int) -> int:
        return self._first + number * self._stride

    def close(self) -> None:
        """End the other processes."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
