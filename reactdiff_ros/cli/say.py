"""`reactdiff say`: a running listener speaks a text, or the sound is written to a file without one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_ERROR, Number, Output, echo, log
from reactdiff_ros.errors import DeviceError, MissingExtraError
from reactdiff_ros.resources import missing_for_nodes, ros_command

if TYPE_CHECKING:  # NumPy takes a while, and help is instant
    from reactdiff_ros.speech.engines import Manner, Synthesis


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--voice", default="", metavar="NAME", show_default="the listener's own",
              help="A language or voice of espeak-ng (en, de, en-us+f3), or a voice file of piper.")  # fmt: skip
@click.option("--emotion", metavar="NAME", default="neutral",
              help="How it is said: angry, disgust, fear, happy, sad, surprise, neutral or contempt.")  # fmt: skip
@click.option("--intensity", type=Number(0.0, 2.0), default=1.0, help="Strength of the emotion; 1 = ordinary.")
@click.option("--namespace", default="", help="ROS namespace of the listener.")
@click.option("--wav", type=common.FILE, help="Write the sound to this file; needs neither ROS nor a listener.")
@click.option("--engine", type=common.Choice(["auto", "espeak-ng", "piper"]), default="auto",
              help="With --wav: what makes the sound.")  # fmt: skip
@common.reporting
def say(
    result: Output, text: tuple[str, ...], voice: str, emotion: str, intensity: float, namespace: str, wav: Path | None,
    engine: str,
) -> int:  # fmt: skip
    """Let the robot speak TEXT; its lips move with it. Words are printed as they are heard.

    TEXT of - is read from standard input. Ctrl-C stops it.
    """
    from reactdiff_ros.speech.engines import Manner, prepared

    words = sys.stdin.read(100_000) if text == ("-",) else " ".join(text)
    with common.usage_errors():
        manner = Manner(voice, emotion, intensity)
        spoken = prepared(words)
    if wav is not None:
        result.update(write_speech(spoken, manner, engine, wav))
        return EXIT_DONE
    if missing := missing_for_nodes():
        raise MissingExtraError(missing, ros_command())
    from reactdiff_ros.nodes.say_client import speak_through_listener

    # With --json what is printed goes to stderr.
    result.update(speak_through_listener(spoken, manner, namespace, lambda word: echo(f"{word} ", nl=False)))
    echo("")
    if result["aborted"]:
        log(result["message"] or "it was stopped")
    return EXIT_ERROR if result["aborted"] else EXIT_DONE


def write_speech(text: str, manner: Manner, engine: str, path: Path) -> dict[str, Any]:
    """Synthesize a prepared text to a WAV file; its figures and timings.

    Raises:
        ReactdiffError: the engine is missing or fails, or the file cannot be written.
    """
    import wave

    import numpy as np

    from reactdiff_ros.speech.engines import Engine, pieces

    speaking = Engine(engine, manner.voice)
    try:
        parts = [speaking.speak(piece, manner) for piece in pieces(text)]
    finally:
        speaking.close()
    rate = parts[0].rate_hz
    if any(p.rate_hz != rate for p in parts):
        raise DeviceError(f"{speaking.name} changed its sample rate", todo="try again")
    with common.writing("the sound", path), wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.concatenate([p.samples for p in parts]).astype("<i2").tobytes())
    log(f"wrote {path}")
    return {"wav": str(path), "engine": speaking.name, "rate_hz": rate, **_times(parts)}


def _times(parts: list[Synthesis]) -> dict[str, Any]:
    words, symbols, done = list[dict[str, Any]](), list[str](), 0.0
    starts, ends = list[float](), list[float]()
    for part in parts:
        words += [{"word": part.text[w.first : w.end], "start_s": round(done + w.start_s, 4)} for w in part.words]
        symbols += part.symbols
        starts += [round(done + float(s), 4) for s in part.starts_s]
        ends += [round(done + float(s), 4) for s in part.ends_s]
        done += len(part.samples) / part.rate_hz
    timing = {"alphabet": "ipa", "symbols": symbols, "starts_s": starts, "ends_s": ends}
    return {"length_s": round(done, 4), "words": words, "timing": timing}
