"""Findings and how checks ask other programs; checks of software, weights, GPU, the user's files, port and disks.

Rooms are imported where a check needs them: on a broken machine an import may fail, and the other checks still run.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.resources import EXTRA_OF, install_command

if TYPE_CHECKING:
    pass

OK, NOTE, ERROR = "ok", "note", "error"
ASK_S: Final = 30.0
"""Timeout of an import in another process, on a slow machine."""
CHECK_S: Final = 2 * ASK_S + 15.0
"""Timeout of a check: a driver may hang where no other timeout applies."""


@dataclass(frozen=True)
class Finding:
    """One line. `level`: ok, note (works without it) or error; `todo`: how to fix it, "" = nothing to do."""

    check: str
    level: str
    sentence: str
    todo: str = ""


Check = Callable[[], Iterator[Finding]]


def findings(check: Check, limit_s: float = CHECK_S) -> Iterator[Finding]:
    """What a check finds. An exception and a timeout are findings as well."""
    name = (check.func if isinstance(check, partial) else check).__name__.removeprefix("check_")
    found: list[Finding] = []

    def work() -> None:
        try:
            found.extend(check())
        except Exception as error:
            # A broken machine is what this command is for: whatever a check fails on is its finding.
            found.append(Finding(name, ERROR, f"{type(error).__name__}: {error}", "see docs/troubleshooting.md"))

    thread = threading.Thread(target=work, name=f"doctor {name}", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        yield Finding(name, ERROR, f"no answer within {limit_s:g} s", "a driver or a disk hangs: see 'dmesg | tail'")
    else:
        yield from found


def failed(check: str, error: ReactdiffError, todo: str = "") -> Finding:
    """The finding of an error; `todo` if the error does not say what to do."""
    sentence = error.what + (f" ({error.where})" if error.where else "")
    return Finding(check, ERROR, sentence, error.todo or todo)


def ask(command: list[str], timeout_s: float = 5.0) -> subprocess.CompletedProcess[str] | None:
    """Run a program; None: it is missing, cannot be started or does not answer."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False,
            cwd=Path("/"), stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None


def ask_python(code: str) -> str:
    """What a line of Python prints in another process, which an import may crash. "": it failed."""
    answer = ask([sys.executable, "-c", code], ASK_S)
    return answer.stdout.strip() if answer is not None and answer.returncode == 0 else ""


def import_problem(module: str) -> str:
    """Why a module cannot be imported; "": it can."""
    answer = ask([sys.executable, "-c", f"import {module}"], ASK_S)
    if answer is None:
        return f"no answer within {ASK_S:g} s"
    lines = answer.stderr.strip().splitlines()
    return (lines[-1] if lines else f"exit {answer.returncode}") if answer.returncode else ""


# Software

NEEDED: Final = {
    "aiohttp": "aiohttp", "av": "av", "cv2": "opencv-python-headless", "kaldi_native_fbank": "kaldi-native-fbank",
    "mediapipe": "mediapipe", "numpy": "numpy", "onnxruntime": "onnxruntime", "psutil": "psutil",
    "pydantic": "pydantic", "safetensors": "safetensors", "segno": "segno", "sounddevice": "sounddevice",
    "yaml": "PyYAML",
}  # fmt: skip
"""Modules that a listener needs, with their packages."""
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
_SETUP: Final = "run 'make setup'"


def check_python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        yield Finding("python", OK, f"{version} ({sys.executable})")
    else:
        yield Finding("python", ERROR, f"{version} is not 3.10 to 3.12", f"set PYTHON to one that is and {_SETUP}")


def check_packages() -> Iterator[Finding]:
    """Python packages; nothing is imported."""
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        yield Finding("packages", ERROR, f"missing: {', '.join(missing)}", _SETUP)
    else:
        yield Finding("packages", OK, ", ".join(f"{n} {_version(n)}" for n in ("mediapipe", "onnxruntime", "numpy")))
    for module, without in OPTIONAL.items():
        if find_spec(module) is None:
            todo = install_command(EXTRA_OF[module]) if module in EXTRA_OF else ""
            yield Finding("optional", NOTE, f"no {module}: {without}", todo)
        else:
            yield Finding("optional", OK, f"{module} {_version(module)}".rstrip())


def _version(package: str) -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return ""


def check_ros() -> Iterator[Finding]:
    """ROS, the package's messages and its programs. Imported in another process: it may not start at all."""
    from reactdiff_ros.launching.live_graph import executable
    from reactdiff_ros.launching.table import load_table

    todo = f"{_SETUP} and '. ./env.sh', or source /opt/ros/<distro>/setup.bash"
    for module, what in (("rclpy", "ROS 2"), ("reactdiff_ros.msg", "messages")):
        problem = import_problem(module)
        if problem:
            yield Finding("ros", ERROR, f"{what} cannot be imported ({problem})", todo)
            return
    yield Finding("ros", OK, f"{os.environ.get('ROS_DISTRO', '?')}, domain {os.environ.get('ROS_DOMAIN_ID') or 0}")
    try:
        nodes = [executable(node.name) for node in load_table().nodes]
        yield Finding("nodes", OK, f"{len(nodes)} programs in {nodes[0].parent}")
    except ReactdiffError as error:
        yield failed("nodes", error, todo)
    if shutil.which("ros2") is None:
        todo = "'reactdiff' replaces it in the docs; 'python examples/gesture.py nod' shows how to send messages"
        yield Finding("ros2", NOTE, "the command ros2 is missing: ROS 2 from PyPI does not include it", todo)


def check_weights() -> Iterator[Finding]:
    """The shipped model, by the hashes of its manifest."""
    from reactdiff_ros.errors import WeightsError
    from reactdiff_ros.model.weights import find_weights

    try:
        yield Finding("weights", OK, f"{find_weights().folder}, every file is the one in its manifest")
    except WeightsError as error:
        todo = "install the package again, or 'make weights'"
        yield Finding("weights", ERROR, f"{error}; until then rules stand in for the model", todo)


def check_gpu(board: Path = BOARD) -> Iterator[Finding]:
    """What can compute the model: GPU, ONNX Runtime, and TensorRT if there is a GPU."""
    gpu = yield from _gpu(board)
    providers = ask_python(_PROVIDERS)
    if not providers:
        yield Finding("backend", ERROR, "onnxruntime cannot be imported", _SETUP)
        return
    yield Finding("backend", OK, f"onnxruntime {providers}")
    if gpu:
        yield _tensorrt("CUDA" in providers)


def _gpu(board: Path) -> Generator[Finding, None, bool]:
    """Reports the GPU; the generator's value is whether there is one that can be used."""
    name = board.read_bytes().rstrip(b"\0").decode(errors="replace") if board.is_file() else ""
    jetson = "jetson" in name.lower() or "nvidia" in name.lower()
    if shutil.which("nvidia-smi") is None:
        if not jetson:
            yield Finding("gpu", NOTE, "no NVIDIA GPU: the model runs on the CPU, which is enough")
            return False
        problem, lines = "nvidia-smi is missing", []
    else:
        answer = ask(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
        if answer is None:
            todo = "restart the machine; see 'dmesg | tail'"
            yield Finding("gpu", ERROR, "nvidia-smi does not answer within 5 s", todo)
            return False
        lines = [line for line in answer.stdout.splitlines() if line.strip()]
        output = answer.stderr.strip() or answer.stdout.strip() or f"exit {answer.returncode}"
        problem = output.splitlines()[0] if answer.returncode or not lines else ""
    if not problem:
        yield Finding("gpu", OK, "; ".join(lines))
    elif jetson:
        yield Finding("gpu", OK, name)  # nvidia-smi does not know every Jetson
    else:
        todo = "restart the machine, or reinstall the driver; until then: reactdiff listen --backend onnxruntime"
        yield Finding("gpu", ERROR, f"nvidia-smi: {problem}", todo)
        return False
    return True


def _tensorrt(cuda: bool) -> Finding:
    version = ask_python("import tensorrt; print(tensorrt.__version__)")
    new, old = "from cuda.bindings import runtime; print('ok')", "from cuda import cudart; print('ok')"
    if version and (ask_python(new) or ask_python(old)):
        return Finding("tensorrt", OK, f"TensorRT {version}; {_engines()}")
    if version:
        problem = "cuda-python is missing"
    elif cuda:
        problem = "TensorRT is not installed: the GPU is used through ONNX Runtime"
    else:
        problem = "neither TensorRT nor ONNX Runtime with CUDA: the GPU is not used"
    return Finding("tensorrt", NOTE, problem, "pip install -r requirements/tensorrt.txt, and TensorRT (docs/gpu.md)")


def _engines() -> str:
    from reactdiff_ros.model.backends.cache import user_folder

    engines = list(user_folder().glob("*.engine"))
    if not engines:
        return "no engines yet, the first start builds them (reactdiff dev export --tensorrt does it ahead)"
    return f"{len(engines)} engines in {user_folder()}"


# Files, port, disks

LOGS_BYTES: Final = 200_000_000
RECORDING_BYTES: Final = 2_000_000_000
"""Pictures and sound of some ten minutes."""


def check_settings() -> Iterator[Finding]:
    """The lab's own settings."""
    from reactdiff_ros.launching.configuration import effective, lab_settings, settings_path

    try:
        lab = lab_settings({})
        effective({}, lab)
    except ReactdiffError as error:
        yield failed("settings", error, "reactdiff config show")
        return
    missing = f"as shipped: there is no {settings_path() or 'file, REACTDIFF_CONFIG is none'}"
    yield Finding("settings", OK, ", ".join(map(str, lab.files)) or missing)


def check_styles() -> Iterator[Finding]:
    """The user's own styles."""
    from reactdiff_ros.styles import load_styles, user_styles_path

    path = user_styles_path()
    try:
        own = f"{len(load_styles(path))} of your own in {path}" if path.exists() else ""
        yield Finding("styles", OK, own or f"those of the package: there is no {path}")
    except ReactdiffError as error:
        yield failed("styles", error, f"fix {path}, or move it away")


def check_calibrations() -> Iterator[Finding]:
    """Every calibration that the user has."""
    from reactdiff_ros.actuation.calibration import calibration_path, load_calibration

    files = sorted(calibration_path("any").parent.glob("*.json"))
    for path in files:
        try:
            yield Finding("calibration", OK, f"{path}, {len(load_calibration(path))} joints")
        except ReactdiffError as error:
            yield failed("calibration", error, f"reactdiff robot calibrate {path.stem}")
    if not files:
        yield Finding("calibration", OK, "none yet: a face on a screen needs none")


def check_port() -> Iterator[Finding]:
    """The page's port, as the lab's settings have it."""
    from reactdiff_ros.launching.configuration import lab_settings
    from reactdiff_ros.launching.table import load_table

    port = int(load_table().node("avatar_node").parameter("port").default)
    with suppress(ReactdiffError):  # reported by check_settings
        own = lab_settings({}).parameters.get("avatar_node", {}).get("port")
        port = int(own.value) if own is not None else port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            todo = f"ss -ltnp 'sport = :{port}' shows the program; or: reactdiff listen --port {port + 100}"
            yield Finding("port", NOTE, f"{port} is in use: the page takes the next free one", todo)
        else:
            yield Finding("port", OK, f"{port} is free")


def check_listener() -> Iterator[Finding]:
    """Whether one runs already."""
    from reactdiff_ros.launching.live_graph import Claim, domain_of

    try:
        Claim(domain_of(os.environ), "").release()
        yield Finding("listener", OK, "none runs in this domain yet")
    except ReactdiffError as error:
        yield Finding("listener", NOTE, str(error))


def check_disk() -> Iterator[Finding]:
    """Room for logs, the environment and recordings."""
    from reactdiff_ros.launching.live_graph import state_folder

    yield disk_finding(state_folder(), LOGS_BYTES, "logs", "free 2 GB, or set REACTDIFF_HOME elsewhere")
    recordings = Path("~/reactdiff_recordings").expanduser()
    yield disk_finding(
        recordings, RECORDING_BYTES, "recordings", "free some, or record with record_to:=/another/disk/x"
    )


def disk_finding(folder: Path, needed: int, what: str, todo: str) -> Finding:
    """Whether a folder, existing or to be created, has room and can be written."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        level = ERROR if what == "logs" else NOTE
        return Finding("disk", level, f"{free // 10**6} MB free at {there} for {what}", todo)
    if not os.access(there, os.W_OK):
        return Finding("disk", ERROR, f"{there} cannot be written: no {what}", f"sudo chown $USER {there}")
    return Finding("disk", OK, f"{free / 1e9:.1f} GB free at {there} for {what}")
