"""Public sets of recorded people as training data: their `train` split and no other, both people listening.

Layouts: `datasets.react` (REACT2023, REACT2024), `datasets.mars` (REACT2025, REACT2026), `datasets.dualtalk`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.recordings.datasets import dualtalk, mars, react
from reactdiff_ros.recordings.datasets.faceverse import expression_names
from reactdiff_ros.recordings.datasets.recording import Recording
from reactdiff_ros.recordings.datasets.speaker import VoiceOf

KINDS: Final = ("react", "mars", "dualtalk")
FACEVERSE: Final = ("react", "mars")
"""Those whose faces are FaceVerse's, in an order that only its licensed file tells."""
NAMELESS: Final = ("mars", "dualtalk")
"""Those that do not tell which of their recordings are of the same person."""
SPLIT: Final = "train"


def data_of(text: str) -> tuple[str, Path]:
    """(kind, folder) of "KIND:DIR".

    Raises:
        ReactdiffError: it is not of that form.
    """
    kind, colon, folder = text.partition(":")
    if kind not in KINDS or not colon or not folder:
        raise ReactdiffError(
            "a data set is KIND:DIR", where=text, todo=f"KIND one of {', '.join(KINDS)}, for example react:data/REACT"
        )
    return kind, Path(folder)


def public_recordings(data: Sequence[str], names_file: str = "", voice_of: VoiceOf = None) -> Iterator[Recording]:
    """The recordings of data sets, each KIND:DIR, set by set, one at a time.

    Args:
        data: the sets.
        names_file: of FaceVerse's expression names; "": only the heads of FaceVerse's faces are observed.
        voice_of: makes the speaker's voice of their sound; None: the voice is unobserved and no sound is read.

    Raises:
        ReactdiffError: a set is not laid out as its kind says, or the names cannot be read.
    """
    names = expression_names(Path(names_file)) if names_file else None
    for kind, folder in map(data_of, data):
        if kind == "dualtalk":
            yield from dualtalk.recordings(folder, SPLIT, voice_of=voice_of)
        else:
            reader = react if kind == "react" else mars
            yield from reader.recordings(folder, SPLIT, names=names, voice_of=voice_of)
