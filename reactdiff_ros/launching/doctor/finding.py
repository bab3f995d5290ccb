"""One line of `reactdiff doctor`, and how its checks ask other programs: in bounded time."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from reactdiff_ros.errors import ReactdiffError

OK, NOTE, ERROR = "ok", "note", "error"
ASK_S: Final = 30.0
"""How long an import in another process may take on a slow machine."""
CHECK_S: Final = 2 * ASK_S + 15.0
"""No check takes longer: a driver may hang where no timeout reaches."""


@dataclass(frozen=True)
class Finding:
    """One line. `level`: ok, note (works without it) or error; `todo`: what mends it, "" = nothing to do."""

    check: str
    level: str
    sentence: str
    todo: str = ""


def failed(check: str, error: ReactdiffError, todo: str = "") -> Finding:
    """The finding of an error that says itself what is wrong; `todo` where it does not say what to do."""
    sentence = error.what + (f" ({error.where})" if error.where else "")
    return Finding(check, ERROR, sentence, error.todo or todo)


Check = Callable[[], Iterator[Finding]]


def findings(check: Check, limit_s: float = CHECK_S) -> Iterator[Finding]:
    """What a check finds. It neither raises nor takes longer than `limit_s`: both are findings themselves."""
    name = getattr(check, "__name__", "check").removeprefix("check_")
    found: list[Finding] = []

    def work() -> None:
        try:
            found.extend(check())
        except Exception as error:
            # A broken machine is what this command is for: whatever a check trips over is its finding.
            found.append(Finding(name, ERROR, f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=work, name=f"doctor {name}", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        yield Finding(name, ERROR, f"no answer within {limit_s:g} s", "a driver or a disk hangs: see 'dmesg | tail'")
    else:
        yield from found


def ask(command: list[str], timeout_s: float = 5.0) -> subprocess.CompletedProcess[str] | None:
    """What a program says; None: it is not there, cannot be started or does not answer."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            cwd=Path("/"),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def ask_python(code: str) -> str:
    """What a line of Python prints, in a process of its own: an import may take that process down. "": it failed."""
    answer = ask([sys.executable, "-c", code], ASK_S)
    return answer.stdout.strip() if answer is not None and answer.returncode == 0 else ""


def import_problem(module: str) -> str:
    """Why a module cannot be imported; "": it can."""
    answer = ask([sys.executable, "-c", f"import {module}"], ASK_S)
    if answer is None:
        return f"no answer within {ASK_S:g} s"
    lines = answer.stderr.strip().splitlines()
    return (lines[-1] if lines else f"exit {answer.returncode}") if answer.returncode else ""
