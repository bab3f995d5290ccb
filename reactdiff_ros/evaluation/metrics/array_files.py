"""The arrays of an evaluation from an .npz file, or one sentence that says what is wrong with it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError

NAMES: Final = ("prediction", "listener", "speaker", "neighbour")
FRAMES: Final = ("frames", "listener_frames")
"""Lengths of padded clips, (N,) and (M,): optional, for mars."""


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """prediction, listener, speaker, neighbour, and frames and listener_frames where they are.

    Raises:
        ReactdiffError: the file is missing, cut off, no .npz, lacks an array, or holds Python objects.
    """
    if not path.is_file():
        raise ReactdiffError("there is no such file", where=str(path), todo="name an .npz file")
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ReactdiffError(
                "it is one array, not an .npz of several", where=str(path), todo=f"save {', '.join(NAMES)} in it"
            )
        with file:
            missing = [name for name in NAMES if name not in file]
            if missing:
                raise ReactdiffError(
                    f"it has no array named {' or '.join(missing)}", where=str(path), todo=f"save {', '.join(NAMES)}"
                )
            return {name: np.asarray(file[name]) for name in (*NAMES, *FRAMES) if name in file}
    except ReactdiffError:
        raise
    except MemoryError as error:
        raise ReactdiffError("its arrays do not fit into memory", where=str(path), todo="give fewer clips") from error
    except ValueError as error:
        # numpy says so of arrays of objects and of files of another kind.
        pickled = "pickle" in str(error).lower() or "object" in str(error).lower()
        what = "it holds Python objects or is no .npz" if pickled else "it cannot be read as .npz"
        raise ReactdiffError(what, where=str(path), todo="save plain numbers with numpy.savez") from error
    except (zipfile.BadZipFile, OSError, EOFError, KeyError) as error:
        raise ReactdiffError("it is cut off or no .npz", where=str(path), todo="write it anew") from error
    except Exception as error:  # a broken header or a broken stream makes numpy raise anything
        raise ReactdiffError("it cannot be read as .npz", where=str(path), todo=f"write it anew ({error})") from error


def unpadded(values: NDArray[Any], frames: NDArray[Any] | None, name: str, axis: int) -> list[NDArray[Any]]:
    """Each clip of `values` cut to its number of frames, which lie on `axis` of a clip; all whole where None.

    Raises:
        ReactdiffError: lengths of another count, or beyond the clips.
    """
    if frames is None:
        return list(values)
    longest = values.shape[axis + 1]
    good = frames.shape == (len(values),) and frames.dtype.kind in "iu"
    if not good or (frames < 1).any() or (frames > longest).any():
        raise ReactdiffError(
            f"lengths of shape {frames.shape} are not {len(values)} whole numbers from 1 to {longest}", where=name,
            todo="give how many frames of each clip count",
        )  # fmt: skip
    return [clip[(slice(None),) * axis + (slice(0, int(n)),)] for clip, n in zip(values, frames, strict=True)]
