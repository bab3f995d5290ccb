"""Runs `bench reference`: what is opened when, in which order, within ten minutes. Definitions: `bench.reference`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench import reference as ref
from reactdiff_ros.evaluation.bench.reference import COMPILED, EAGER, ONNX, OURS, PAPER, Case, Measured, Plan, Window
from reactdiff_ros.model.backends.onnxruntime_backend import open_graph
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.weights import Weights

BYTES_OF_A_PARAMETER: Final = {False: 6, True: 16}
"""Needed at the worst time: by torch alone, and with the export and what ONNX Runtime makes of it."""
_SHARES: Final = {EAGER: 0.3, COMPILED: 0.6, ONNX: 0.7}
"""Of the time, when each round of one sample is to be over; the rest is for all samples."""


class Run:
    """One run.

    Args:
        weights: ours.
        plan: what is measured.
        timer: seconds of a monotonic clock.
        config: `training.paper.config.PaperConfig`, the published one by default.
        threads: of both.
        told: share of the time that is over.
        say: is told what happens.
    """

    def __init__(
        self, weights: Weights, plan: Plan, timer: Callable[[], float], *, config: Any = None, threads: int,
        told: Callable[[float], None] = lambda share: None, say: Callable[[str], None] = lambda sentence: None,
    ) -> None:  # fmt: skip
        from reactdiff_ros.training.paper.config import PaperConfig

        self._weights, self._plan, self._timer, self._threads = weights, plan, timer, threads
        self._config = config or PaperConfig()
        self._told, self._say = told, say
        self._found = Measured()
        self._notes = [
            "the paper's networks hold random weights, as none are published: times do not depend on values",
            "ours in ONNX Runtime runs on one thread, as it ships; of the clip's samples each thread draws its share",
        ]

    def figures(self) -> dict[str, Any]:
        """Measure all of it; see `reference.figures` for the result.

        Raises:
            ModuleNotFoundError: torch is not installed.
            ReactdiffError: there is too little memory.
            WeightsError: our networks cannot be loaded.
        """
        from reactdiff_ros.training.paper.model import count_parameters
        from reactdiff_ros.training.timing import our_model, paper_model, use_threads

        counts = count_parameters(self._config)
        self._enough_memory(counts["total"])
        load, torch_version = os.getloadavg()[0], use_threads(self._threads)
        self._begin = self._timer()
        networks = Networks(self._weights)  # as it ships, on one thread: for one small window two are slower
        paper = paper_model(self._config)
        ours, stored = our_model(self._weights)
        if not stored:
            self._notes.append("our torch networks hold random weights: the folder has no fitting model.safetensors")
        self._eager(paper, ours, networks)
        if COMPILED in self._plan.runtimes:
            self._compiled(paper, ours)
        ten: dict[str, Case] = {}
        clip = Case(OURS, ONNX, self._plan.default_steps, self._plan.samples, clip=True)
        with tempfile.TemporaryDirectory(prefix="reactdiff-") as folder:
            graphs = self._graphs(paper, networks, Path(folder)) if ONNX in self._plan.runtimes else None
            if "ten_samples_30s" in self._plan.ratios:
                self._ten(paper, graphs, Networks(self._weights, self._threads), ten, clip)
        self._told(1.0)
        told = ref.figures(self._plan, self._found, ten, clip)
        told["paper"] |= {"parameters": counts, "shapes": self._config.as_dict()}
        told["ours"] |= {"parameters": self._weights.parameters, "weights": networks.name}
        return {
            **told, "threads": self._threads, "torch": torch_version, "onnxruntime": version("onnxruntime"),
            "load_before": round(load, 2), "seconds": round(self._timer() - self._begin, 1), "notes": self._notes,
        }  # fmt: skip

    def _enough_memory(self, parameters: int) -> None:
        exports = ONNX in self._plan.runtimes
        needed, there = BYTES_OF_A_PARAMETER[exports] * parameters, psutil.virtual_memory().available
        if there < needed:
            raise ReactdiffError(
                f"there are {there / 1e9:.1f} GB of memory, and the published shapes take {needed / 1e9:.0f}",
                where="bench reference", todo="close something, or take another machine",
            )  # fmt: skip

    def _round(self, name: str, cases: dict[Case, Window], share: float) -> None:
        self._say(f"{name}: {', '.join(f'{c.side}, {c.steps} steps, {c.samples} samples' for c in cases)}")
        until = self._begin + share * self._plan.budget_s
        ref.in_turn(
            cases, self._timer, repeats=self._plan.repeats, until_s=until, found=self._found, least_s=self._plan.least_s
        )
        self._told(min(self._spent(), 0.99))

    def _spent(self) -> float:
        return (self._timer() - self._begin) / self._plan.budget_s

    def _eager(self, paper: Any, ours: Any, networks: Networks) -> None:
        from reactdiff_ros.training.timing import our_window, paper_window

        own = our_window(ours, self._timer)
        cases: dict[Case, Window] = {
            Case(PAPER, EAGER, self._plan.steps): paper_window(paper, self._timer),
            Case(OURS, EAGER, self._plan.steps): own,
        }
        if "eager_default_steps" in self._plan.ratios:
            cases |= {
                Case(OURS, EAGER, self._plan.default_steps): own,
                Case(OURS, ONNX, self._plan.default_steps): ref.our_graph_window(networks, self._timer),
            }
        self._round(EAGER, cases, _SHARES[EAGER])

    def _compiled(self, paper: Any, ours: Any) -> None:
        from reactdiff_ros.training.timing import our_window, paper_window

        if self._spent() > _SHARES[EAGER] + 0.05:
            self._notes.append(f"{COMPILED} was left out: the time was spent")
            return
        own = our_window(ours, self._timer, compiled=True)
        cases = {
            Case(PAPER, COMPILED, self._plan.steps): paper_window(paper, self._timer, compiled=True),
            Case(OURS, COMPILED, self._plan.steps): own,
            Case(OURS, COMPILED, self._plan.default_steps): own,
        }
        try:
            self._round(COMPILED, cases, _SHARES[COMPILED])
        except Exception as error:  # whatever its code generator and compiler raise
            for case in cases:
                self._found.parts.pop(case, None)
            self._notes.append(f"{COMPILED} does not work here: {str(error).splitlines()[0][:200]}")

    def _graphs(self, paper: Any, networks: Networks, folder: Path) -> Window:
        from reactdiff_ros.training.timing import graph_window, write_graphs

        self._say("exporting the paper's networks")
        opened = {name: open_graph(path, self._threads) for name, path in write_graphs(paper, folder).items()}
        window = graph_window(opened, self._config, self._timer)
        cases: dict[Case, Window] = {
            Case(PAPER, ONNX, self._plan.steps): window,
            Case(OURS, ONNX, self._plan.steps): ref.our_graph_window(networks, self._timer),
        }
        self._round(ONNX, cases, _SHARES[ONNX])
        return window

    def _ten(
        self, paper: Any, graphs: Window | None, networks: Networks, ten: dict[str, Case], clip: Case
    ) -> None:  # fmt: skip
        """All samples: of the paper one window in its fastest runtime, of ours the whole clip."""
        from reactdiff_ros.training.timing import paper_window

        times = {r: self._found.median_s(Case(PAPER, r, self._plan.steps)) for r in ref.RUNTIMES}
        fastest = min((r for r in times if times[r] == times[r]), key=lambda r: times[r])
        if fastest == ONNX and graphs is not None:
            window = graphs
        else:
            window = paper_window(paper, self._timer, compiled=fastest == COMPILED)
        ten[fastest] = Case(PAPER, fastest, self._plan.steps, self._plan.samples)
        own = ref.our_clip(networks, self._timer, self._plan.clip_s, self._threads)
        self._round(f"{self._plan.samples} samples, {fastest}", {ten[fastest]: window, clip: own}, 1.0)
