#!/usr/bin/env python3
"""All checks and measurements that need an NVIDIA GPU, in one run; writes one JSON file.

    python scripts/gpu_checks.py --output results.json [--minutes 8] [--quick]

Needs numpy, onnx and onnxruntime-gpu; torch, tensorrt with polygraphy, and pytest where they are there. No ROS. Every
part stands for itself: one that fails leaves its error in the results and the rest goes on. Ends with 0 when nothing
failed, parts that are missing on this machine (TensorRT, say) being no failures: the results name them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from reactdiff_ros.model.backends.base import Backend, BackendError  # noqa: E402
from reactdiff_ros.model.backends.onnxruntime_backend import OnnxRuntimeCpu, OnnxRuntimeCuda  # noqa: E402
from reactdiff_ros.model.backends.opening import Wanted, open_backend, probe  # noqa: E402
from reactdiff_ros.model.backends.runtime import Networks  # noqa: E402
from reactdiff_ros.model.backends.weights import Weights, find_weights  # noqa: E402
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary  # noqa: E402
from reactdiff_ros.model.plan.planner import Planner, faces  # noqa: E402

PACKAGES = (
    "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "torch", "tensorrt", "tensorrt-cu13", "tensorrt-cu12",
    "polygraphy", "nvidia-cudnn-cu13", "nvidia-cudnn-cu12",
)  # fmt: skip
BOUNDS = {"fp32": 1e-4, "fp16": 1e-2}
"""Of the coefficients' range, against torch."""
RANGE = 1.0
RECORDED = ROOT / "test" / "gpu" / "recorded.npz"
"""15 s of the demo's speaker as perceived: features and flags of the encoder, 25 a second."""
BATCHES = (1, 2, 4, 8, 16, 25, 32, 64)
CASE_S = 2.5
"""Seconds after which a case of plans ends, warm by then."""
PARITY = ((1, 1, False), (1, 10, False), (1, 2, True), (10, 1, False), (5, 3, True))
"""Listeners, candidates, guided."""


class Checks:
    """The results, and the time that is left."""

    def __init__(self, weights: Weights, minutes: float, output: Path) -> None:
        self.weights, self.output = weights, output
        self._end = perf_counter() + 60 * minutes
        self.results: dict[str, Any] = {"failures": [], "missing": []}

    def left(self) -> float:
        """Seconds."""
        return self._end - perf_counter()

    def part(self, name: str, work: Callable[[], Any]) -> None:
        """Do one part and keep what it returns, or its error."""
        if self.left() < 5:
            self.results["missing"].append(f"{name}: no time was left")
            self.write()
            return
        began = perf_counter()
        try:
            self.results[name] = work()
        except (BackendError, ModuleNotFoundError) as error:
            self.results["missing"].append(f"{name}: {error}")
        except Exception:
            self.results["failures"].append(f"{name}: {traceback.format_exc(limit=-4)}")
        print(f"{name}: {perf_counter() - began:.1f} s", flush=True)
        self.write()

    def write(self) -> None:
        """Keep what there is."""
        part = self.output.with_name(self.output.name + ".part")
        part.write_text(json.dumps(self.results, indent=1, default=str) + "\n", encoding="utf-8")
        os.replace(part, self.output)


def versions() -> dict[str, Any]:
    """What is installed, and what ONNX Runtime says it can use."""
    import onnxruntime as ort

    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    providers = ort.get_available_providers()
    return {"python": platform.python_version(), "packages": found, "ort": ort.__version__, "providers": providers}


def gpu() -> dict[str, Any]:
    """Name, memory and driver, as nvidia-smi reports them."""
    found = ""
    if shutil.which("nvidia-smi"):
        query = "name,memory.total,memory.used,driver_version,compute_cap,clocks.max.sm"
        command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"nvidia_smi": found, "cpu_cores": len(os.sched_getaffinity(0))}


def gpu_tests(limit_s: float) -> dict[str, Any]:
    """The tests marked `gpu`."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-m", "gpu", "test/gpu", "-p", "no:cacheprovider", "-rs",
        "-o", "addopts=", "-o", "pythonpath=. test", "--confcutdir=test/gpu",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=limit_s)
    lines = done.stdout.strip().split("\n")
    if done.returncode not in (0, 5):
        raise RuntimeError("\n".join(lines[-60:]) + done.stderr[-2000:])
    return {"summary": lines[-1], "skipped": [line for line in lines if line.startswith("SKIPPED")]}


def backends(checks: Checks, weights: Weights) -> dict[str, Backend]:
    """All that work here; what does not is named in the results."""
    found: dict[str, Backend] = {"onnxruntime-cpu": OnnxRuntimeCpu(weights)}
    makers: dict[str, Callable[[], Backend]] = {
        "cuda-fp32": lambda: OnnxRuntimeCuda(weights, "fp32"),
        "cuda-fp16": lambda: OnnxRuntimeCuda(weights, "fp16"),
        "cuda-fp32-launched": lambda: OnnxRuntimeCuda(weights, "fp32", capture=False),
    }
    for name, make in makers.items():
        try:
            found[name] = make()
        except BackendError as error:
            checks.results["missing"].append(f"{name}: {error}")
        except Exception:
            checks.results["failures"].append(f"{name}: {traceback.format_exc(limit=-3)}")
    return found


def with_torch(weights: Weights, folder: Path) -> tuple[Weights, dict[str, Backend]]:
    """Torch on CPU and GPU, and the same rounded networks as graphs."""
    import copy
    import warnings

    import torch

    from reactdiff_ros.training.torch_backend import Torch, comparable

    warnings.simplefilter("ignore")
    model, same = comparable(weights, folder)
    found: dict[str, Backend] = {"torch-cpu": Torch(copy.deepcopy(model))}
    if torch.cuda.is_available():
        found["torch-cuda"] = Torch(model, "cuda")
    return same, found


def parity(weights: Weights, reference: Backend, others: dict[str, Backend], steps: int = 8) -> dict[str, Any]:
    """Largest differences of latents and coefficients of whole stretches, and of encoder and decoder."""
    networks = Networks(weights)
    out: dict[str, Any] = {}
    for name, other in others.items():
        worst = {"latents": 0.0, "coefficients": 0.0}
        for count, candidates, guided in PARITY:
            job = probe(weights.shape, steps, count, candidates)
            if guided:
                strength = np.linspace(1.0, 4.0, count, dtype=np.float32)[:, None, None, None]
                blind = job.mask.copy()
                blind[:, :, 1 : 1 + weights.shape["speech"]] = -1e4
                job = replace(job, mask=np.concatenate([job.mask, blind], axis=1), strength=strength)
            one, two = reference.stretch(job), other.stretch(job)
            again = other.stretch(job)
            assert np.isfinite(two).all()
            assert np.array_equal(two, again), "the same input gave other bits"
            worst["latents"] = max(worst["latents"], float(abs(one - two).max()))
            shown = [faces(networks, job.past, networks.accumulate(drawn, job.past)) for drawn in (one, two)]
            worst["coefficients"] = max(worst["coefficients"], float(abs(shown[0] - shown[1]).max()))
        worst |= _parity_of_graphs(weights, reference, other)
        bound = BOUNDS["fp16" if "fp16" in name else "fp32"] * RANGE
        out[name] = worst | {"bound": bound, "within": worst["coefficients"] <= bound}
    return out


def _parity_of_graphs(weights: Weights, reference: Backend, other: Backend) -> dict[str, float]:
    from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT

    noise = np.random.default_rng(0)
    s = weights.shape
    cache = (3, s["encoder_layers"], 2, s["heads"], s["window"] - 1, s["width"] // s["heads"])
    inputs = {
        "encoder": {
            "features": noise.standard_normal((3, FEATURE_COUNT)), "observed": np.ones((3, STREAM_COUNT)),
            "cache": noise.standard_normal(cache), "mask": np.zeros((s["encoder_layers"], s["window"] - 1)),
        },
        "vae_decoder": {"latents": noise.standard_normal((3, 22, s["latent"]))},
    }  # fmt: skip
    out = {}
    for graph, given in inputs.items():
        arrays = {name: array.astype(np.float32) for name, array in given.items()}
        pairs = zip(reference.run(graph, arrays), other.run(graph, arrays), strict=True)
        out[graph] = max(float(abs(one - two).max()) for one, two in pairs)
    return out


def plan_times(weights: Weights, backend: Backend, checks: Checks, *, quick: bool) -> list[dict[str, Any]]:
    """Times of whole plans (three stretches, decoded, 0.48 s ahead) by candidates, steps and listeners."""
    rows = []
    cases = [(1, 8, 1), (10, 8, 1), (1, 4, 1), (1, 20, 1), (10, 8, 8)] + [(1, 8, n) for n in BATCHES[1:]]
    if quick:
        cases = cases[:2]
    for candidates, steps, listeners in cases:
        if checks.left() < 20:
            break
        networks = Networks(weights, backend=backend)
        planner = Planner(networks, list(range(listeners)), Sampling(steps=steps, candidates=candidates))
        s = networks.shape
        heard = len(networks.ages)
        speaker = np.random.default_rng(0).standard_normal((listeners, heard, s["width"])).astype(np.float32)
        missing = np.zeros((listeners, heard), dtype=np.float32)
        times = []
        began = perf_counter()
        for i in range(60):
            start = perf_counter()
            draft = planner.draft(
                4 * i, speaker, missing, ordinary(listeners), lead=1, frames=12, all_candidates=candidates > 1
            )  # fmt: skip
            planner.plan(draft)
            times.append(1e3 * (perf_counter() - start))
            if i >= 12 and (quick or perf_counter() - began > CASE_S):
                break
        warm = times[8:] or times
        rows.append(
            {
                "candidates": candidates, "steps": steps, "listeners": listeners, "first_ms": times[0],
                "median_ms": float(np.median(warm)), "p99_ms": float(np.percentile(warm, 99)), "plans": len(warm),
                "listeners_in_real_time": int(listeners * 160 / float(np.median(warm))),
            }
        )  # fmt: skip
    return rows


def reaction(weights: Weights, backend: Backend) -> Any:
    """Faces (T, 58) that a listener shows to the recorded speaker: each plan goes on from the one before."""
    recorded = np.load(RECORDED)
    networks = Networks(weights, backend=backend)
    cache, tokens = networks.new_cache(), []
    for features, observed in zip(recorded["features"], recorded["observed"], strict=True):
        token, new = networks.encode(features[None].astype(np.float32), observed[None].astype(np.float32), cache.past())
        cache.push(new)
        tokens.append(token[0])
    ages = networks.ages
    planner = Planner(networks, [5], Sampling())
    missing = np.zeros((1, len(ages)), dtype=np.float32)
    shown = []
    for slot in range(int(ages.max()) + 4, len(tokens), 4):
        speaker = np.stack([tokens[slot - 1 - age] for age in ages])[None]
        plan = planner.plan(planner.draft(slot, speaker, missing, ordinary(1), lead=1, frames=12))
        shown.append(plan.shown[0, 0, :4])
    return np.concatenate(shown)


def same_reactions(weights: Weights, found: dict[str, Backend]) -> dict[str, Any]:
    """How far reactions of one seed to 15 s of a recorded speaker are from those on the CPU."""
    one = reaction(weights, found["onnxruntime-cpu"])
    out: dict[str, Any] = {"frames": len(one)}
    moving = one.std(axis=0) > 0.01
    for name, backend in found.items():
        other = reaction(weights, backend)
        away = abs(one - other)
        spread = other.std(axis=0)[moving] / one.std(axis=0)[moving]
        out[name] = {
            "max": float(away.max()), "p99": float(np.percentile(away, 99)), "mean": float(away.mean()),
            "max_of_the_first_second": float(away[:25].max()),
            "spread_ratio": [float(spread.min()), float(np.median(spread)), float(spread.max())],
        }  # fmt: skip
    return out


def encoder_times(weights: Weights, backend: Backend) -> dict[str, float]:
    """Milliseconds of one new frame of N speakers."""
    from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT

    networks = Networks(weights, backend=backend)
    out = {}
    for count in (1, 8, 64):
        cache = networks.new_cache(count)
        features = np.random.default_rng(0).standard_normal((count, FEATURE_COUNT)).astype(np.float32)
        observed = np.ones((count, STREAM_COUNT), dtype=np.float32)
        times = []
        for _ in range(60):
            start = perf_counter()
            cache.push(networks.encode(features, observed, cache.past())[1])
            times.append(1e3 * (perf_counter() - start))
        out[str(count)] = float(np.median(times[10:]))
    return out


def tensorrt(checks: Checks, precision: Any, folder: Path, found: dict[str, Backend]) -> dict[str, Any]:
    """Build the engines, load them from the cache, and keep the backend for parity and times."""
    out: dict[str, Any] = {}
    for attempt in ("built", "cached"):
        began = perf_counter()
        logged: list[str] = []
        opened = open_backend(
            checks.weights, Wanted("tensorrt", precision, (8,), folder), perf_counter, log=logged.append
        )  # fmt: skip
        if opened.tensorrt is None:
            raise BackendError(opened.serving.why)
        while opened.tensorrt.running() and checks.left() > 30:
            sleep(0.05)
        if not opened.serving.name.startswith("tensorrt"):
            opened.close()
            raise RuntimeError(f"{opened.state()}; {logged}")
        out[attempt] = {
            "seconds": perf_counter() - began, "builds_s": opened.tensorrt.built_s,
            "from_cache": opened.tensorrt.cached, "log": logged,
        }  # fmt: skip
        found[f"tensorrt-{precision}"] = opened.serving
    return out


def auto(checks: Checks) -> str:
    """What `backend: auto` takes here, and why."""
    opened = open_backend(checks.weights, Wanted("auto", "fp32", (8,), None), perf_counter)
    state = opened.state()
    opened.close()
    return state


def main() -> int:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="", help="folder of weights; empty: the shipped ones")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--quick", action="store_true", help="one candidate and ten, one listener, alone")
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"{arguments.output} is there already")
    weights = find_weights(arguments.model)
    checks = Checks(weights, arguments.minutes, arguments.output)
    checks.results["weights"] = f"{weights.name}@{weights.digest}"
    with tempfile.TemporaryDirectory(prefix="gpu-checks-") as name:
        folder = Path(name)
        checks.part("versions", versions)
        checks.part("gpu", gpu)
        found: dict[str, Backend] = {}
        checks.part("backends", lambda: found.update(backends(checks, weights)) or sorted(found))
        for precision in ("fp32", "fp16"):
            checks.part(
                f"tensorrt_{precision}", lambda p=precision: tensorrt(checks, p, folder / "engines", found)
            )  # fmt: skip
        checks.part("parity_with_onnxruntime_cpu", lambda: parity(weights, found["onnxruntime-cpu"], found))
        torches: dict[str, Backend] = {}
        checks.part("parity_with_torch", lambda: _torch_parity(checks, folder / "rounded", torches))
        checks.part("same_reactions", lambda: same_reactions(weights, found))
        checks.part("gpu_tests", lambda: gpu_tests(min(240.0, checks.left())))
        every = found | torches
        for label, backend in sorted(every.items(), key=lambda item: "cpu" in item[0]):
            quick = arguments.quick or label == "torch-cpu"
            checks.part(f"plans_{label}", lambda b=backend, q=quick: plan_times(weights, b, checks, quick=q))
            checks.part(f"encoder_ms_{label}", lambda b=backend: encoder_times(weights, b))
        checks.part("gpu_after", gpu)
        checks.part("auto", lambda: auto(checks))
    for bad in checks.results["failures"]:
        print(bad, file=sys.stderr)
    print(f"{len(checks.results['failures'])} failures; not here: {checks.results['missing']}; {arguments.output}")
    return 1 if checks.results["failures"] else 0


def _torch_parity(checks: Checks, folder: Path, torches: dict[str, Backend]) -> Any:
    same, found = with_torch(checks.weights, folder)
    torches.update(found)
    others = {name: backend for name, backend in found.items() if name != "torch-cpu"}
    return parity(same, found["torch-cpu"], others | backends(checks, same))


if __name__ == "__main__":
    sys.exit(main())
