"""`reactdiff study`: blind conditions, dealt out in balance, sealed, and opened when all is recorded."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_ERROR, Output, dumps, echo, log
from reactdiff_ros.errors import ConfigError, explained
from reactdiff_ros.whole_file import whole_file, write_whole


@click.group(cls=common.Group)
def study() -> None:
    """Run blind studies: seal, run and open conditions."""


@study.command("seal")
@click.argument("plan", metavar="STUDY.yaml", type=common.FILE)
@click.option("-o", "--output", type=common.FOLDER, default=Path(), metavar="DIR",
              help="Folder of the two files. Default: the current folder.")  # fmt: skip
@common.reporting
def seal_command(result: Output, plan: Path, output: Path) -> None:
    """Assign the conditions of STUDY.yaml to sessions.

    Writes two files, the sessions and the key. The sessions file is for the robot. The analyst keeps the key and
    STUDY.yaml: each of them reveals the conditions.
    """
    from reactdiff_ros.launching.condition import check_settings
    from reactdiff_ros.recordings.blinding import balance, read_plan, seal, sessions_of

    with explained((OSError, UnicodeDecodeError), "the study cannot be read", where=plan, error=ConfigError):
        text = plan.read_text(encoding="utf-8")
    wanted = read_plan(text, str(plan))
    for name, settings in wanted.conditions.items():
        try:
            check_settings(settings)
        except ConfigError as error:
            raise ConfigError(error.what, where=f"{plan}, condition {name}", todo=error.todo) from error
    seed = secrets.randbits(63) if wanted.seed is None else wanted.seed
    sessions = sessions_of(wanted, seed)
    public, key = seal(wanted, sessions, seed, secrets.token_bytes)
    paths = {"sessions": output / f"{wanted.name}.sessions.json", "key": output / f"{wanted.name}.key.json"}
    for path in paths.values():
        if path.exists() or path.is_symlink():
            todo = "move both files to a safe place first: without the old key, its recordings cannot be opened"
            raise ConfigError("this study is already sealed", where=str(path), todo=todo)
    with common.writing("the study", output):
        with whole_file(paths["key"], private=True) as file:
            file.write(dumps(key, indent=1).encode() + b"\n")
        try:
            write_whole(paths["sessions"], dumps(public, indent=1) + "\n")
        except OSError:  # a key without its sessions is useless, and blocks the next attempt
            paths["key"].unlink()
            raise
    note = balance(sessions, wanted)
    result.update({name: str(path) for name, path in paths.items()}, study=wanted.name, count=len(sessions), note=note)
    log(f"{len(sessions)} sessions of {len(wanted.conditions)} conditions: {paths['sessions']} is for the robot")
    log(f"{paths['key']} is for the analyst only: move it to another machine, and keep a copy")
    if note:
        log(note)


@study.command()
@click.argument("path", metavar="SESSIONS", type=common.FILE)
@common.reporting
def sessions(result: Output, path: Path) -> None:
    """List the sessions of a study in order, without their conditions."""
    from reactdiff_ros.recordings.blinding import SessionsFile

    found = SessionsFile(path)
    rows = [{k: row.get(k) for k in ("session", "participant", "position")} for row in found.rows]
    result.update(study=found.study, sessions=rows)
    for row in rows:
        result.say(f"{row['session']}  participant {row['participant']}, their session {row['position']}")


@study.command()
@click.argument("path", metavar="SESSIONS", type=common.FILE)
def check(path: Path) -> int:
    """Check that every session can run here, without revealing any condition."""
    from reactdiff_ros.launching.condition import check_settings, unveil
    from reactdiff_ros.model.backends.weights import find_weights
    from reactdiff_ros.model.listener import ListenerConfig
    from reactdiff_ros.recordings.blinding import SessionsFile
    from reactdiff_ros.styles import style_book

    found = SessionsFile(path)
    find_weights(ListenerConfig().model_dir)
    for row in found.rows:
        settings = unveil(row["veil"]).settings
        check_settings(settings)
        if settings.get("style", "natural") not in style_book(str(settings.get("styles_file", ""))):
            log("a condition uses a style that is not on this machine: copy your file of styles here")
            return EXIT_ERROR
    log(f"all {len(found.rows)} sessions of {found.study} can run on this machine")
    return EXIT_DONE


@study.command()
@click.argument("path", metavar="SESSIONS", type=common.FILE)
@click.argument("session", metavar="ID")
def veil(path: Path, session: str) -> None:
    """Print the encoded condition of session ID, for ros2 launch and systemd.

    It is the value of the environment variable REACTDIFF_CONDITION.
    """
    from reactdiff_ros.recordings.blinding import SessionsFile

    echo(SessionsFile(path).veil_of(session))


@study.command("open")
@click.argument("bags", metavar="BAG...", nargs=-1, required=True, type=common.PATH)
@click.option("--key", type=common.FILE, metavar="KEY", help="Key of the study.")
@common.reporting
def open_command(result: Output, bags: tuple[Path, ...], key: Path | None) -> int:
    """Print the condition of each BAG after checking its seal.

    BAG is a bag or a folder of bags.
    """
    from reactdiff_ros.recordings.blinding import Key, opened, sealed_bags

    if key is None:
        key, *rest = bags
        if not rest or not key.is_file():
            raise click.UsageError("give the key of the study: reactdiff study open BAG... --key KEY")
        bags = tuple(rest)
        log("the key is now an option (--key): giving it first works until the next release")
    opener = Key(key)
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for bag in sealed_bags(bags):
        found = opened(bag, opener)
        if isinstance(found, str):
            failed.append({"bag": str(bag), "problem": found})
            log(f"{bag}: {found}")
            continue
        row = {name: getattr(found, name) for name in ("session", "participant", "position", "condition")}
        rows.append({"bag": str(bag), **row, "settings": dict(found.settings)})
        result.say(f"{found.session}  {found.condition}  {bag}")
    missing = sorted(set(opener.sessions()) - {row["session"] for row in rows})
    result.update(study=opener.study, recordings=rows, failed=failed, not_recorded=missing)
    log(f"{len(rows)} recordings opened, {len(failed)} not; {len(missing)} sessions have no recording")
    return EXIT_ERROR if failed or not rows else EXIT_DONE


def enter_blind(study: Path, arguments: dict[str, str], style: str | None) -> None:
    """Make the nodes that this process starts run the session of `arguments` blind.

    Raises:
        click.UsageError: no session, or an option that its condition decides.
        ConfigError: the study has no such session.
    """
    from reactdiff_ros.launching.condition import CONDITION_VARIABLE
    from reactdiff_ros.recordings.blinding import SessionsFile

    session = arguments.get("session", "")
    if "policy" in arguments or style is not None:
        raise click.UsageError("the condition of a blind session sets policy and style: omit both")
    if not session:
        raise click.UsageError("--study needs the session: session:=ID ('reactdiff study sessions' lists them)")
    sessions = SessionsFile(study)
    os.environ[CONDITION_VARIABLE] = sessions.veil_of(session)
    unrecorded = "" if arguments.get("record") == "true" else "; not recorded (add record:=true)"
    log(f"study {sessions.study}, session {session}: its condition is hidden{unrecorded}")
