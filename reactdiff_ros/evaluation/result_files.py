"""The result file: a numpy .npz archive with a JSON head beside the arrays.

Any zip tool opens it, `numpy.load` reads its arrays, and no library beyond numpy is needed. It is written whole or not
at all, and read with every shape checked. Its members (the fields are those of `results`):

    result.json                     head: format, version, info, ids, names
    items/00000/speaker.npy         (T, 58) float32
    items/00000/speech.npy          (T,) float32
    items/00000/truth.npy           (T, 58) float32, where the recorded listener is known
    systems/NAME/values/FRC.npy     (N,) float64
    systems/NAME/streams/00000.npy  (T, 58) float32
    systems/NAME/compute_s.npy      (P,) float64
    systems/NAME/lag_s.npy          (L,) float64
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.results import Figure, Info, Item, Metric, Result, System

FORMAT: Final = "reactdiff-result"
VERSION: Final = 1
HEAD: Final = "result.json"
Kind = TypeVar("Kind")


class ResultError(ReactdiffError):
    """A result file is missing, broken, of a newer version, or cannot be written."""


def versions_here() -> dict[str, str]:
    """Versions of the package and of the libraries that a figure may depend on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from reactdiff_ros import __version__
    from reactdiff_ros.evaluation.bench.machine import commit

    out = {"reactdiff_ros": __version__, "python": platform.python_version()}
    here = commit(Path(__file__).parent)
    if here:
        out["commit"] = here
    for name in ("numpy", "onnxruntime", "mediapipe", "numba", "opencv-python-headless"):
        with contextlib.suppress(PackageNotFoundError):
            out[name] = version(name)
    return out


def write_result(result: Result, path: Path, *, overwrite: bool = False) -> Path:
    """Write `result` to `path`, whole or not at all, and return `path`.

    Raises:
        ResultError: the file is there already and `overwrite` is false, or it cannot be written.
    """
    if path.exists() and not overwrite:
        raise ResultError("the result file is there already", where=str(path), todo="name another one, or move it away")
    temporary: Path | None = None
    writer: Any = np.lib.format
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                archive.writestr(HEAD, json.dumps(_head(result), allow_nan=False, ensure_ascii=False, indent=1))
                for name, array in _arrays(result):
                    with archive.open(name, "w", force_zip64=True) as member:
                        writer.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        _put(temporary, path, overwrite)
    except FileExistsError as error:
        raise ResultError(
            "the result file is there already", where=str(path), todo="name another one, or move it away"
        ) from error
    except OSError as error:
        raise ResultError("the result cannot be written", where=str(path), todo=error.strerror or str(error)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def read_result(path: Path) -> Result:
    """The result in a file that `write_result` made.

    Raises:
        ResultError: it is missing, no result file, broken, or of a newer version.
    """
    if not path.is_file():
        raise ResultError("there is no such result file", where=str(path), todo="name one that 'evaluate' wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            head = json.loads(archive.read(HEAD).decode("utf-8"))
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise ResultError("this is no result file", where=str(path), todo="name one that 'evaluate' wrote")
            if not isinstance(head.get("version"), int) or head["version"] > VERSION:
                raise ResultError(
                    f"the result file is of version {head.get('version')}, this program reads up to {VERSION}",
                    where=str(path), todo="install a newer reactdiff_ros",
                )  # fmt: skip
            return _result(head, archive)
    except OSError as error:
        raise ResultError(
            "the result file cannot be read", where=str(path), todo=error.strerror or str(error)
        ) from error
    except (
        zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, EOFError, MemoryError,
        NotImplementedError, RuntimeError,
    ) as error:  # fmt: skip
        raise ResultError(
            "this is no whole result file", where=str(path), todo=f"evaluate again ({_short(error)})"
        ) from error


def _head(result: Result) -> dict[str, Any]:
    head: dict[str, Any] = _plain(
        {
            "format": FORMAT,
            "version": VERSION,
            "info": _fields(result.info),
            "items": [{**_fields(i, _ITEM_CURVES), "curves": [c for c in _ITEM_CURVES if getattr(i, c) is not None]}
                      for i in result.items],
            "systems": [
                {
                    **_fields(s, (*_SYSTEM_ARRAYS, "values", "streams", "figures")),
                    "values": list(s.values),
                    "streams": list(s.streams),
                    "figures": {name: asdict(figure) for name, figure in s.figures.items()},
                }
                for s in result.systems
            ],
            "metrics": [_fields(m) for m in result.metrics],
        }
    )  # fmt: skip
    return head


_ITEM_CURVES: Final = ("speaker", "speech", "truth")
_SYSTEM_ARRAYS: Final = ("compute_s", "lag_s")


def _arrays(result: Result) -> Iterable[tuple[str, NDArray[Any]]]:
    row = {item.id: index for index, item in enumerate(result.items)}
    for index, item in enumerate(result.items):
        for curve in _ITEM_CURVES:
            if getattr(item, curve) is not None:
                yield f"items/{index:05d}/{curve}.npy", np.asarray(getattr(item, curve), dtype=np.float32)
    for system in result.systems:
        base = f"systems/{system.name}"
        for name, values in system.values.items():
            yield f"{base}/values/{name}.npy", np.asarray(values, dtype=np.float64)
        for id_, stream in system.streams.items():
            yield f"{base}/streams/{row[id_]:05d}.npy", np.asarray(stream, dtype=np.float32)
        for name in _SYSTEM_ARRAYS:
            yield f"{base}/{name}.npy", np.asarray(getattr(system, name), dtype=np.float64)


def _result(head: dict[str, Any], archive: zipfile.ZipFile) -> Result:
    items = [_item(archive, index, told) for index, told in enumerate(head["items"])]
    row = {item.id: index for index, item in enumerate(items)}
    systems = [_system(archive, told, row) for told in head["systems"]]
    metrics = tuple(_known(Metric, told) for told in head["metrics"])
    return Result(_known(Info, head["info"]), tuple(items), tuple(systems), metrics)


def _item(archive: zipfile.ZipFile, index: int, told: dict[str, Any]) -> Item:
    curves = {c: _array(archive, f"items/{index:05d}/{c}.npy", np.float32) for c in told.pop("curves")}
    return _known(Item, {**told, **curves})


def _system(archive: zipfile.ZipFile, told: dict[str, Any], row: dict[str, int]) -> System:
    base = f"systems/{told['name']}"
    read = {
        "values": {n: _array(archive, f"{base}/values/{n}.npy", np.float64) for n in told["values"]},
        "streams": {i: _array(archive, f"{base}/streams/{row[i]:05d}.npy", np.float32) for i in told["streams"]},
        "figures": {
            name: Figure(*(_number(figure.get(k)) for k in ("value", "low", "high")))
            for name, figure in told["figures"].items()
        },
    }
    arrays = {name: _array(archive, f"{base}/{name}.npy", np.float64) for name in _SYSTEM_ARRAYS}
    return _known(System, {**told, **read, **arrays})


def _array(archive: zipfile.ZipFile, name: str, kind: Any) -> NDArray[Any]:
    """A member as an array. A head that claims more than the member holds is refused before memory is asked for."""
    data = io.BytesIO(archive.read(name))
    whole = data.getbuffer().nbytes
    files: Any = np.lib.format
    reader = files.read_array_header_1_0 if files.read_magic(data) == (1, 0) else files.read_array_header_2_0
    shape, _, dtype = reader(data)
    if dtype != np.dtype(kind) or math.prod(shape) * dtype.itemsize != whole - data.tell():
        raise ValueError(f"{name} is not what it claims")
    data.seek(0)
    return np.asarray(files.read_array(data, allow_pickle=False))


def _fields(value: Any, without: Iterable[str] = ()) -> dict[str, Any]:
    left_out = set(without)
    return {f.name: getattr(value, f.name) for f in fields(value) if f.name not in left_out}


def _known(kind: type[Kind], told: dict[str, Any]) -> Kind:
    """A dataclass of the fields in `told`; lists are tuples. What a later writer adds within a version is passed by."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in told.items() if k in names})


def _plain(value: Any) -> Any:
    """For JSON: numpy's numbers as Python's, what is not finite as null, paths and the like as text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120].strip("'\"")


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _put(temporary: Path, path: Path, overwrite: bool) -> None:
    """Give the written file its name; a file that came to be meanwhile stays as it is."""
    if overwrite:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(path) from None
        temporary.replace(path)
