"""scripts/setup.sh in a copy whose programs only report how they were called; and pip's settings for uv."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from uv_settings import uv_settings  # noqa: E402

LISTENING = ("devices", "drawing", "https", "speech")
COPIED = ("scripts", "requirements", "msg", "srv", "action", "config", "CMakeLists.txt", "package.xml")
REPORT = """#!/bin/bash
call="${0##*/} $*"
case $call in "python -m "*" install "* | "uv "* | "cmake "* | "apt-get "*) echo "$call" >>"$CALLS" ;; esac
case $call in $FAILING)
  [ -z "$SLOW" ] || until [ -s "$CALLS.sleeps" ]; do sleep 0.1; done
  echo "ERROR: as the test wants it"
  exit 1 ;;
esac
"""
PYTHON = """case "$*" in
  "-m venv "*) folder=${@: -1}; mkdir -p "$folder/bin" "$folder/lib/python3.11"; cp "$0" "$folder/bin/python" ;;
  *"pip config list") echo "$PIP_CONFIG" ;;
  *"install uv"*) cp "$UV" "${0%/*}/uv" ;;
  *"pip "*install* | scripts/mend_ros_wheels.py* | scripts/check_python.py) ;;
  *) exec "$REAL" "$@" ;;
esac
"""
UV = 'env | grep -E "^(UV_|SSL_CERT)" >>"$CALLS.uv"\n'
CMAKE = """case "$*" in
  -S*) mkdir -p build; echo "$*" | sed 's/.*INSTALL_PREFIX=//; s/ .*//' >"$4.prefix" ;;
  --build*) [ -z "$SLOW" ] || { sleep 300 & echo $! >"$CALLS.sleeps"; wait; } ;;
  --install*) mkdir -p "$(cat "$2.prefix")"/{lib,share} ;;
esac
"""
Run = Callable[..., tuple[int, list[str], list[str]]]
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="there are ROS wheels for x86-64 alone")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Calls setup.sh; gives its exit status, the commands that it ran, the lines that it printed."""
    checkout, programs, calls = tmp_path / "checkout", tmp_path / "bin", tmp_path / "calls"
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, checkout / name)
    (checkout / "reactdiff_ros").mkdir()
    programs.mkdir()
    for name, does in (("python", PYTHON), ("uv_wheel", UV), ("cmake", CMAKE), ("apt-get", ""), ("g++", "")):
        (programs / name).write_text(REPORT + does)
        (programs / name).chmod(0o755)

    def once(*options: str, failing: str = "none", **more: str) -> tuple[int, list[str], list[str]]:
        given = {
            "PATH": f"{programs}:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(tmp_path),
            "REACTDIFF_HOME": str(tmp_path / "home"), "REACTDIFF_ROS_ROOT": str(tmp_path / "no_ros"),
            "REACTDIFF_NO_REACHY": "1", "PYTHON": str(programs / "python"), "REAL": sys.executable,
            "UV": str(programs / "uv_wheel"), "CALLS": str(calls), "FAILING": failing, "PIP_CONFIG": "", "SLOW": "",
        }  # fmt: skip
        calls.unlink(missing_ok=True)
        done = subprocess.run(
            [checkout / "scripts" / "setup.sh", *options], env=given | more, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        called = calls.read_text().splitlines() if calls.exists() else []
        return done.returncode, called, done.stderr.splitlines()

    return once


def installed(called: list[str], program: str = "uv") -> list[str]:
    """The files of requirements that a program was asked to install, in order."""
    lines = [line for line in called if line.startswith(f"{program} ")]
    return [name for line in lines for name in re.findall(r"-r requirements/([\w-]+)\.txt", line)]


def test_what_listening_needs_is_installed_and_the_package_built(run: Run, tmp_path: Path) -> None:
    code, called, said = run()
    assert code == 0, said
    assert installed(called) == ["ros", "run", *LISTENING]
    assert [line.split()[1] for line in called if line.startswith("cmake ")] == ["-S", "--build", "--install"]
    assert (tmp_path / "checkout" / "env.sh").read_text().startswith("# Written by 'make setup'")
    assert said[-1].startswith("[setup] ready after ")


def test_where_nothing_changed_nothing_is_called(run: Run, tmp_path: Path) -> None:
    assert run()[0] == 0
    assert run() == (0, [], [])
    requirements = tmp_path / "checkout" / "requirements" / "run.txt"
    requirements.touch()  # as git does: the content is the same
    code, called, _ = run()
    assert (code, called) == (0, [])
    requirements.write_text(requirements.read_text() + "# changed\n")
    assert installed(run()[1]) == ["run", *LISTENING]
    (tmp_path / "checkout" / "msg" / "New.msg").write_text("bool new\n")
    code, called, _ = run()
    assert installed(called) == []
    assert len([line for line in called if line.startswith("cmake ")]) == 3


def test_pip_installs_the_same_where_uv_does_not(run: Run) -> None:
    code, called, said = run("--docs", failing="uv pip*")
    assert code == 0, said
    assert installed(called, "python") == ["ros", "run", *LISTENING, "evaluate", "docs"]
    assert any("pip" in line for line in said)


def test_a_failed_build_is_one_sentence_and_the_next_call_resumes(run: Run) -> None:
    code, called, said = run(failing="cmake --build*")
    assert code == 1
    assert re.fullmatch(r"\[setup\] error: the build failed, see .*/build\.log: ERROR: as the test wants it", said[-1])
    code, called, _ = run()
    assert code == 0
    assert installed(called) == []
    assert [line.split()[1] for line in called] == ["-S", "--build", "--install"]


@pytest.mark.parametrize(
    ("listing", "environment", "expected"),
    [
        ((), {}, {}),
        (
            ("global.index-url='https://one/simple'", "install.index-url='https://two/simple'"), {},
            {"UV_DEFAULT_INDEX": "https://two/simple"},
        ),
        (
            ("global.extra-index-url='file:///one/simple\\nfile:///two/simple'", "global.find-links='/a\\n/b'"), {},
            {"UV_INDEX": "file:///one/simple file:///two/simple", "UV_FIND_LINKS": "/a,/b"},
        ),
        ((":env:.index-url='https://env/simple'", "install.index-url='https://file/simple'"), {},
         {"UV_DEFAULT_INDEX": "https://env/simple"}),
        (("global.no-index='false'", "global.no-cache-dir='1'", "global.pre='yes'"), {},
         {"UV_NO_CACHE": "1", "UV_PRERELEASE": "allow"}),
        (("global.trusted-host='a.example b.example'", "global.timeout='60'", "wheel.pre='1'"), {},
         {"UV_INSECURE_HOST": "a.example b.example", "UV_HTTP_TIMEOUT": "60"}),
        (("global.cert='/pip.pem'", "global.quiet='1'", "nonsense"), {"SSL_CERT_FILE": "/own.pem"}, {}),
    ],
)  # fmt: skip
def test_pips_settings_become_uvs(
    listing: tuple[str, ...], environment: dict[str, str], expected: dict[str, str]
) -> None:
    settings = uv_settings(listing, environment)
    assert settings.pop("UV_INDEX_STRATEGY") == "unsafe-best-match"  # as pip chooses among indexes
    settings.pop("UV_NATIVE_TLS", None)
    assert settings == expected


# What it writes

ENV = ROOT / "env.sh"
CLEAN = {"HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@pytest.mark.ros
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_sourced_twice_from_elsewhere_it_gives_the_same_path_and_the_command(shell: str, tmp_path: Path) -> None:
    if not ENV.exists():
        pytest.skip("env.sh is written by 'make setup', which has not run in this checkout")
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} on this machine")
    script = (
        f'. "{ENV}" && first="$PATH|$PYTHONPATH|$AMENT_PREFIX_PATH|$LD_LIBRARY_PATH" && . "{ENV}" && '
        '[ "$first" = "$PATH|$PYTHONPATH|$AMENT_PREFIX_PATH|$LD_LIBRARY_PATH" ] && echo same && '
        'reactdiff --help && python -c "import rclpy, reactdiff_ros.msg; print(reactdiff_ros.__file__)"'
    )
    run = subprocess.run([program, "-euc", script], capture_output=True, text=True, cwd=tmp_path, env=CLEAN, timeout=60)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "same"
    assert lines[1].startswith("Usage: reactdiff")
    assert "reactdiff_ros/__init__.py" in lines[-1]
