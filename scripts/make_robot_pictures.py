"""Make docs/images/robot_mapping.png and robot_preview.png: a profile's mapping, and its preview while it smiles.

    . ./env.sh && python scripts/make_robot_pictures.py [--robot NAME] [--folder docs/images]

Runs `reactdiff robot preview` and photographs its page in headless Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reactdiff_ros.actuation.robot.profile import profile_path  # noqa: E402
from reactdiff_ros.cli.main import main as reactdiff  # noqa: E402
from reactdiff_ros.coefficients import INDEX  # noqa: E402
from reactdiff_ros.errors import ReactdiffError  # noqa: E402
from tools.chromium import Chromium  # noqa: E402

SMILE = {"mouthSmile": 0.9, "cheekSquint": 0.5, "browOuterUp": 0.3}
SECONDS, RATE_HZ, LOOK_S = 60, 25, 5.0
SIZE = (1280, 800)


def smiling(path: Path) -> None:
    """A clip of nothing but a smile."""
    frames = np.zeros((SECONDS * RATE_HZ, 58), dtype=np.float32)
    for name, value in SMILE.items():
        frames[:, [INDEX[f"{name}Left"], INDEX[f"{name}Right"]]] = value
    np.savez(path, coefficients=frames, times=np.arange(len(frames)) / RATE_HZ)


def photograph(robot: str, output: Path) -> None:
    """The page of the preview, some seconds into a smile."""
    with tempfile.TemporaryDirectory() as folder:
        smiling(Path(folder) / "smile.npz")
        # The page names its files.
        (Path(folder) / "my_robot.yaml").write_bytes(profile_path(robot).read_bytes())
        code = "import sys; from reactdiff_ros.cli.main import main; sys.exit(main())"
        arguments = ["robot", "preview", "my_robot.yaml", "--frames", "smile.npz", "--port", "0", "--json"]
        command = [sys.executable, "-u", "-c", code, *arguments]
        paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=paths) as preview:
            assert preview.stdout is not None
            try:
                url = json.loads(preview.stdout.readline())["url"]
                with Chromium(SIZE) as browser:
                    page = browser.open(url)
                    page.front()
                    time.sleep(LOOK_S)
                    page.screenshot(output.resolve())
            finally:
                preview.terminate()


def main() -> None:
    """Parse, draw, photograph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robot", default="generic_12servo")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if reactdiff(["robot", "preview", given.robot, "--output", str(given.folder / "robot_mapping.png"), "--force"]):
        sys.exit(1)
    photograph(given.robot, given.folder / "robot_preview.png")


if __name__ == "__main__":
    try:
        main()
    except ReactdiffError as problem:
        sys.exit(f"error: {problem}")
