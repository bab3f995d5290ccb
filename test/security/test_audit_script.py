"""`make audit`: holes fail, no answer is said and fails only where an answer is required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "audit.sh"
HOLE = (
    '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}, '
    '{"name": "b", "version": "1", "vulns": []}]}'
)
NONE = '{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}'
UNKNOWN = '{"dependencies": [{"name": "a", "skip_reason": "not found"}]}'


@pytest.mark.parametrize(
    ("answer", "required", "code", "said"),
    [
        (HOLE, "", 1, "a 1: CVE-1, mended in 2"),
        (NONE, "required", 0, "1 packages, 0 known holes"),
        ("", "", 0, "not looked for holes"),
        ("", "required", 1, "not looked for holes"),
        (UNKNOWN, "", 0, "not looked for holes"),
    ],
)
def test_what_is_said_of_holes(tmp_path: Path, answer: str, required: str, code: int, said: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    audit = f'#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && printf "%s" \'{answer}\' >"$2"; shift; done\n'
    for name, text in (("pip-audit", audit), ("cyclonedx-py", "#!/bin/sh\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    home = tmp_path / "home"
    (home / "venv" / "bin").mkdir(parents=True)
    (home / "venv" / "bin" / "python").symlink_to(sys.executable)
    environment = os.environ | {"REACTDIFF_HOME_DIR": str(home), "REACTDIFF_AUDIT_TOOLS": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(SCRIPT), "holes", *([required] if required else [])],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == code, done
    assert said in done.stdout + done.stderr
