"""`reactdiff doctor`: the interpreter, packages, ROS, weights, and what computes the model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from reactdiff_ros.extras import EXTRA_OF, install_command
from reactdiff_ros.launching.doctor.finding import ERROR, NOTE, OK, Finding, ask, ask_python, failed, import_problem

NEEDED: Final = {
    "aiohttp": "aiohttp",
    "av": "av",
    "cv2": "opencv-python-headless",
    "kaldi_native_fbank": "kaldi-native-fbank",
    "mediapipe": "mediapipe",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "safetensors": "safetensors",
    "segno": "segno",
    "sounddevice": "sounddevice",
    "yaml": "PyYAML",
}
OPTIONAL: Final = {
    "cv_bridge": "pictures are decoded by our own code",
    "hri_msgs": "the REP-155 topics are not published",
    "audio_common_msgs": "sound comes from our own microphone_node",
    "ruckig": "no robot with motors can be driven",
    "rosbags": "no bag can be recorded, replayed or evaluated",
    "torch": "nothing can be trained or exported",
}
BOARD: Final = Path("/proc/device-tree/model")
_PROVIDERS: Final = (
    "import onnxruntime as o; print(o.__version__ + ': ' + ', '.join(p.replace('ExecutionProvider', '')"
    " for p in o.get_available_providers()))"
)


def check_python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        yield Finding("python", OK, f"{version} ({sys.executable})")
    else:
        todo = "set PYTHON to one that is and run 'make setup'"
        yield Finding("python", ERROR, f"{version} is not 3.10 to 3.12", todo)


def check_packages() -> Iterator[Finding]:
    """Python packages; nothing is imported."""
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        yield Finding("packages", ERROR, f"missing: {', '.join(missing)}", "run 'make setup'")
    else:
        yield Finding("packages", OK, ", ".join(f"{n} {_version(n)}" for n in ("mediapipe", "onnxruntime", "numpy")))
    for module, without in OPTIONAL.items():
        if importlib.util.find_spec(module) is None:
            todo = install_command(EXTRA_OF[module]) if module in EXTRA_OF else ""
            yield Finding("optional", NOTE, f"no {module}: {without}", todo)
        else:
            yield Finding("optional", OK, f"{module} {_version(module)}".rstrip())


def check_ros() -> Iterator[Finding]:
    """ROS, the package's messages and its programs. Imported in another process: it may not start at all."""
    todo = "run 'make setup' and '. ./env.sh', or source /opt/ros/<distro>/setup.bash"
    for module, what in (("rclpy", "ROS 2"), ("reactdiff_ros.msg", "messages")):
        problem = import_problem(module)
        if problem:
            yield Finding("ros", ERROR, f"{what} cannot be imported ({problem})", todo)
            return
    yield Finding("ros", OK, f"{os.environ.get('ROS_DISTRO', '?')}, domain {os.environ.get('ROS_DOMAIN_ID') or 0}")
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.launching.live_graph import executable
    from reactdiff_ros.launching.table import load_table

    try:
        nodes = [executable(node.name) for node in load_table().nodes]
    except ReactdiffError as error:
        yield failed("nodes", error, todo)
    else:
        yield Finding("nodes", OK, f"{len(nodes)} programs in {nodes[0].parent}")
    if shutil.which("ros2") is None:
        todo = "'reactdiff' does what the docs do with it; 'python examples/gesture.py nod' shows how messages are sent"
        yield Finding("ros2", NOTE, "the command ros2 is not there: ROS 2 from PyPI comes without it", todo)


def check_weights() -> Iterator[Finding]:
    """The shipped model, by the hashes of its manifest."""
    from reactdiff_ros.errors import WeightsError
    from reactdiff_ros.model.weights import find_weights

    try:
        weights = find_weights()
    except WeightsError as error:
        todo = "install the package again, or 'make weights'"
        yield Finding("weights", ERROR, f"{error}; until then rules stand in for the model", todo)
    else:
        yield Finding("weights", OK, f"{weights.folder}, every file is the one in its manifest")


def check_gpu(board: Path = BOARD) -> Iterator[Finding]:
    """What can compute the model: GPU, ONNX Runtime, and TensorRT where there is a GPU."""
    gpu = yield from _gpu(board)
    providers = ask_python(_PROVIDERS)
    if not providers:
        yield Finding("backend", ERROR, "onnxruntime cannot be imported", "run 'make setup'")
        return
    yield Finding("backend", OK, f"onnxruntime {providers}")
    if gpu:
        yield from _tensorrt("CUDA" in providers)


def _gpu(board: Path) -> Generator[Finding, None, bool]:
    """Says which GPU there is; the generator's value is whether there is one that can be used."""
    name = board.read_bytes().rstrip(b"\0").decode(errors="replace") if board.is_file() else ""
    jetson = "jetson" in name.lower() or "nvidia" in name.lower()
    if shutil.which("nvidia-smi") is None:
        if jetson:
            yield Finding("gpu", OK, name)
        else:
            yield Finding("gpu", NOTE, "no NVIDIA GPU: the model runs on the CPU, which is enough")
        return jetson
    answer = ask(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    if answer is None:
        todo = "start the machine again; see 'dmesg | tail'"
        yield Finding("gpu", ERROR, "nvidia-smi does not answer within 5 s", todo)
        return False
    lines = [line for line in answer.stdout.splitlines() if line.strip()]
    if answer.returncode or not lines:
        said = (answer.stderr.strip() or answer.stdout.strip() or f"exit {answer.returncode}").splitlines()[0]
        todo = (
            "start the machine again, or install the driver again; until then: reactdiff listen --backend onnxruntime"
        )
        if jetson:
            yield Finding("gpu", OK, name)
        else:
            yield Finding("gpu", ERROR, f"nvidia-smi: {said}", todo)
        return jetson
    yield Finding("gpu", OK, "; ".join(lines))
    return True


def _tensorrt(cuda: bool) -> Iterator[Finding]:
    version = ask_python("import tensorrt; print(tensorrt.__version__)")
    polygraphy = ask_python("import polygraphy; print(polygraphy.__version__)")
    todo = "pip install -r requirements/tensorrt.txt, and TensorRT as docs/gpu.md says"
    if version and polygraphy:
        yield Finding("tensorrt", OK, f"TensorRT {version}; {_engines()}")
    elif version or cuda:
        what = (
            "NVIDIA's Polygraphy is missing"
            if version
            else "TensorRT is not installed: the GPU is used through ONNX Runtime"
        )
        yield Finding("tensorrt", NOTE, what, todo)
    else:
        yield Finding("tensorrt", NOTE, "neither TensorRT nor ONNX Runtime with CUDA: the GPU is not used", todo)


def _engines() -> str:
    from reactdiff_ros.model.backends.tensorrt_backend import user_folder

    engines = list(user_folder().glob("*.engine")) if user_folder().is_dir() else []
    if not engines:
        return "no engines yet, the first start builds them (reactdiff dev export --tensorrt does it ahead)"
    return f"{len(engines)} engines in {user_folder()}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
