"""`reactdiff doctor`: one line for everything that the listener needs, and what to do where it is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import click

OK, NOTE, ERROR = "ok", "note", "error"
_SIGN = {OK: "ok   ", NOTE: "note ", ERROR: "ERROR"}
_NEEDED = {
    "aiohttp": "aiohttp",
    "av": "av",
    "cv2": "opencv-python-headless",
    "kaldi_native_fbank": "kaldi-native-fbank",
    "mediapipe": "mediapipe",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "psutil": "psutil",
    "safetensors": "safetensors",
    "sounddevice": "sounddevice",
    "yaml": "PyYAML",
}
_OPTIONAL = {
    "cv_bridge": "pictures are decoded by our own code",
    "hri_msgs": "the REP-155 topics are not published",
    "audio_common_msgs": "sound comes from our own microphone_node",
    "torch": "train and export need 'pip install -r requirements/train.txt'",
}


@dataclass(frozen=True)
class Finding:
    """One line. `level`: ok, note (works without it) or error; `todo`: "" = nothing."""

    check: str
    level: str
    sentence: str
    todo: str = ""


def check_python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        yield Finding("python", OK, f"{version} ({sys.executable})")
    else:
        yield Finding(
            "python", ERROR, f"{version} is not 3.10 to 3.12", "set PYTHON to one that is and run 'make setup'"
        )


def check_packages() -> Iterator[Finding]:
    """Python packages; nothing is imported."""
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        yield Finding("packages", ERROR, f"missing: {', '.join(missing)}", "run 'make setup'")
    else:
        yield Finding("packages", OK, ", ".join(f"{n} {_version(n)}" for n in ("mediapipe", "onnxruntime", "numpy")))
    for module, without in _OPTIONAL.items():
        if importlib.util.find_spec(module) is None:
            yield Finding("optional", NOTE, f"no {module}: {without}")
        else:
            yield Finding("optional", OK, f"{module} {_version(module)}".rstrip())


def check_ros() -> Iterator[Finding]:
    """ROS, the package's messages and its programs. Imported in another process: it may not start at all."""
    todo = "run 'make setup' and '. ./env.sh', or source /opt/ros/<distro>/setup.bash"
    for module, what in (("rclpy", "ROS 2"), ("reactdiff_ros.msg", "messages")):
        problem = _import_problem(module)
        if problem:
            yield Finding("ros", ERROR, f"{what} cannot be imported ({problem})", todo)
            return
    distro, middleware = (
        os.environ.get("ROS_DISTRO", "?"),
        os.environ.get("RMW_IMPLEMENTATION", "the default middleware"),
    )
    yield Finding("ros", OK, f"{distro} with {middleware}, domain {os.environ.get('ROS_DOMAIN_ID') or 0}")
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.nodes.live_graph import executable
    from reactdiff_ros.nodes.table import load_table

    try:
        nodes = [executable(node.name) for node in load_table().nodes]
    except ReactdiffError as error:
        yield Finding("nodes", ERROR, str(error), todo)
    else:
        yield Finding("nodes", OK, f"{len(nodes)} programs in {nodes[0].parent}")


def check_camera() -> Iterator[Finding]:
    """Webcams."""
    from reactdiff_ros.cli.devices import cameras

    found = cameras()
    if not found:
        yield Finding("camera", NOTE, "no /dev/video* takes pictures: the demo speaker plays", "plug in a webcam")
    for camera in found:
        if camera.problem:
            yield Finding("camera", ERROR, camera.problem)
        else:
            yield Finding("camera", OK, f"/dev/video{camera.index}: {camera.name}")


def check_microphone() -> Iterator[Finding]:
    """Microphones."""
    from reactdiff_ros.cli.devices import MicrophoneQuestion

    answer = MicrophoneQuestion().answer()
    if answer.problem:
        yield Finding("microphone", ERROR, answer.problem)
    elif answer.default is None:
        yield Finding("microphone", NOTE, "no input: the listener goes by sight alone", "plug in a microphone")
    else:
        yield Finding("microphone", OK, f"{answer.default} ({len(answer.inputs)} inputs)")


def check_port() -> Iterator[Finding]:
    """The page's port."""
    from reactdiff_ros.nodes.table import load_table

    port = int(load_table().node("avatar_node").parameter("port").default)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            yield Finding("port", NOTE, f"{port} is in use: the page takes the next free one")
        else:
            yield Finding("port", OK, f"{port} is free")


def check_weights() -> Iterator[Finding]:
    """The shipped model, by the hashes of its manifest."""
    from reactdiff_ros.errors import WeightsError
    from reactdiff_ros.model.weights import find_weights

    try:
        weights = find_weights()
    except WeightsError as error:
        yield Finding("weights", ERROR, f"{error}; until then rules stand in for the model")
    else:
        yield Finding("weights", OK, f"{weights.folder}, every file is the one in its manifest")


def check_gpu() -> Iterator[Finding]:
    """What can compute the model."""
    if shutil.which("nvidia-smi"):
        with suppress(OSError, subprocess.TimeoutExpired):
            query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
            answer = subprocess.run(query, capture_output=True, text=True, timeout=5, check=False)
            names = ", ".join(answer.stdout.split("\n")).strip(", ")
            yield Finding("gpu", OK if names else NOTE, names or "nvidia-smi finds no GPU")
    else:
        yield Finding("gpu", NOTE, "no NVIDIA GPU: the model runs on the CPU, which is enough")
    providers = _answer("import onnxruntime as o; print(o.__version__ + ': ' + ', '.join(o.get_available_providers()))")
    if providers:
        yield Finding("backend", OK, f"onnxruntime {providers.replace('ExecutionProvider', '')}")
    else:
        yield Finding("backend", ERROR, "onnxruntime cannot be imported", "run 'make setup'")


def check_disk() -> Iterator[Finding]:
    """Room for logs and the environment."""
    from reactdiff_ros.nodes.live_graph import state_folder

    folder = state_folder()
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < 200_000_000:
        yield Finding(
            "disk", ERROR, f"{free // 10**6} MB free at {there}", "free 2 GB, or set REACTDIFF_HOME elsewhere"
        )
    elif not os.access(there, os.W_OK):
        yield Finding("disk", ERROR, f"{there} cannot be written", "set REACTDIFF_HOME to a folder of yours")
    else:
        yield Finding("disk", OK, f"{free / 1e9:.1f} GB free at {there}")


def check_listener() -> Iterator[Finding]:
    """Whether one runs already."""
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.nodes.live_graph import Claim, domain_of

    try:
        Claim(domain_of(os.environ), "").release()
    except ReactdiffError as error:
        yield Finding("listener", NOTE, str(error))
    else:
        yield Finding("listener", OK, "none runs in this domain yet")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_ros,
    check_camera,
    check_microphone,
    check_port,
    check_weights,
    check_gpu,
    check_disk,
    check_listener,
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def doctor(as_json: bool) -> int:
    """Check what the listener needs: ROS, packages, devices, ports, weights, GPU, disk. Exit 1 if something fails."""
    from reactdiff_ros.cli.output import json_on_stdout

    worst = 0
    with json_on_stdout(as_json) as result:
        findings = result["findings"] = []
        for check in CHECKS:
            for finding in _run(check):
                findings.append(asdict(finding))
                worst |= finding.level == ERROR
                todo = f" -> {finding.todo}" if finding.todo else ""
                click.echo(f"{_SIGN[finding.level]} {finding.check:<10} {finding.sentence}{todo}", err=as_json)
        result["ok"] = not worst
    return int(worst)


def _run(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    name = check.__name__.removeprefix("check_")
    try:
        yield from check()
    except Exception as error:
        # A broken machine is what this command is for: whatever a check trips over is its finding.
        yield Finding(name, ERROR, f"{type(error).__name__}: {error}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _import_problem(module: str) -> str:
    """Why a module cannot be imported, in a process of its own: an import may take that process down."""
    try:
        run = _python(f"import {module}")
    except subprocess.TimeoutExpired:
        return "no answer within 30 s"
    lines = run.stderr.strip().splitlines()
    return (lines[-1] if lines else f"exit {run.returncode}") if run.returncode else ""


def _answer(code: str) -> str:
    try:
        return _python(code).stdout.strip()
    except subprocess.TimeoutExpired:
        return ""


def _python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=Path("/"))
