"""Faults setting by setting, each setting's in a process of its own.

Fast DDS looks at the network's interfaces once in the life of a process, so none can be on one machine and then on two.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.faults.catalogue import Fault, chosen
from reactdiff_ros.evaluation.faults.run import FaultRun
from reactdiff_ros.evaluation.faults.setting import SETTINGS, NotHereError
from reactdiff_ros.launching.live_graph import LiveOptions

ASK_S: Final = 0.2
END_S: Final = 20.0
"""A process that was told to stop ends its nodes within this time."""
_ROW, _SAY, _LEFT_OUT, _FAILED = "row", "say", "left out", "failed"


def run_faults(
    options: LiveOptions,
    robot: str,
    faults: Sequence[Fault],
    say: Callable[[str], None],
    done: Callable[[dict[str, Any]], None],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """All of `faults`, those of one setting on one graph, with the emulated servos of `robot` ("": none).

    A run that cannot go on gives what it has, and says why it ended.

    Args:
        options: what to run.
        robot: profile whose servos are emulated.
        faults: in this order, setting by setting.
        say: told what the user should know meanwhile.
        done: told every row as soon as it is measured.
        stopped: asked several times a second; True ends the run.

    Returns:
        {"faults": one dictionary for each, "left_out": {name: why}, "within_bounds": bool}.

    Raises:
        ReactdiffError: a graph does not work without a fault, or the run was stopped before the first was over.
    """
    rows: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}

    def measured(row: dict[str, Any]) -> None:
        rows.append(row)
        done(row)

    for setting in SETTINGS:
        group = [fault for fault in faults if fault.setting == setting]
        if not group:
            continue
        try:
            why = _elsewhere(setting, options, robot, group, say, measured, stopped)
        except ReactdiffError as error:
            if not rows:
                raise
            say(f"{error}; {len(faults) - len(rows) - len(left_out)} faults are left")
            break
        if why:
            left_out |= {fault.name: why for fault in group}
            say(f"left out: {', '.join(fault.name for fault in group)}: {why}")
    held = len(rows) + len(left_out) == len(faults) and not any(row["violations"] for row in rows)
    return {"faults": rows, "left_out": left_out, "within_bounds": held}


def _elsewhere(
    setting: str,
    options: LiveOptions,
    robot: str,
    group: Sequence[Fault],
    say: Callable[[str], None],
    measured: Callable[[dict[str, Any]], None],
    stopped: Callable[[], bool],
) -> str:
    """Inject a group in another process; why it is left out, empty: it is not. Raises ReactdiffError: it failed."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=_serve, args=(other, setting, options, robot, [fault.name for fault in group]))
    process.start()
    other.close()
    told_to_stop, left_out, failed = False, "", ""
    try:
        while True:
            if not told_to_stop and stopped():
                told_to_stop = True
                pipe.send(None)
            if not pipe.poll(ASK_S):
                continue
            kind, what = pipe.recv()
            if kind == _ROW:
                measured(what)
            elif kind == _SAY:
                say(what)
            elif kind == _LEFT_OUT:
                left_out = what
            else:
                failed = what
    except (EOFError, OSError):
        pass
    finally:
        pipe.close()
        process.join(END_S)
        if process.is_alive():
            process.kill()
    if failed or process.exitcode:
        raise ReactdiffError(failed or f"the harness ended with {process.exitcode}", where=setting)
    return left_out


def _serve(pipe: Connection, setting: str, options: LiveOptions, robot: str, names: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started it says when to stop

    def say(sentence: str) -> None:
        pipe.send((_SAY, sentence))

    try:
        with SETTINGS[setting]() as where, FaultRun(options, robot, say, pipe.poll, where) as run:
            run.start()
            for fault in chosen(names, robot=True, bus=True):
                pipe.send((_ROW, run.inject(fault)))
    except NotHereError as error:
        pipe.send((_LEFT_OUT, str(error)))
    except ReactdiffError as error:
        pipe.send((_FAILED, str(error)))
    except (BrokenPipeError, EOFError):
        pass  # nobody waits for it any more
