"""Whatever a file holds, a reader gives values in range or one sentence."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reactdiff_ros.recordings.datasets.public import expression_names
from reactdiff_ros.recordings.datasets.recording import DatasetError, load_array, load_sound, load_table
from reactdiff_ros.recordings.datasets.recordings import load


def array_file(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Any bytes, or an array file with some bytes changed or cut off."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=300))
    shape = draw(st.sampled_from([(3, 4), (3, 1, 4), (0, 4), (4,), (3, 5)]))
    kind = draw(st.sampled_from(["f4", "f8", "i2", "?", "c8", "U3"]))
    content = bytearray(array_file(np.ones(shape).astype(kind)))
    for _ in range(draw(st.integers(0, 4))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)


@given(damaged())
@settings(max_examples=150, deadline=None)
def test_arrays(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        path.write_bytes(content)
        try:
            values = load_array(path, "numbers", 4)
        except DatasetError as error:
            assert str(path) in str(error)  # noqa: PT017
            assert "numbers" in str(error)  # noqa: PT017
        else:
            assert values.shape[1:] == (4,)
            assert np.isfinite(values).all()
        for read in (load, expression_names):
            try:
                read(path)
            except DatasetError as error:
                assert str(path) in str(error)  # noqa: PT017


CELLS = st.sampled_from(["1", "x", "nan", "", '"', "1e39", "1e999"])


@given(st.text(max_size=80) | st.lists(st.lists(CELLS, max_size=3)))
@settings(max_examples=150, deadline=None)
def test_tables(content: str | list[list[str]]) -> None:
    text = content if isinstance(content, str) else "a,b\n" + "\n".join(",".join(row) for row in content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            values = load_table(path, "labels", ("a", "b"))
        except DatasetError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert np.isfinite(values).all()


@given(st.binary(max_size=120), st.booleans())
@settings(max_examples=100, deadline=None)
def test_sounds(content: bytes, headed: bool) -> None:
    header = (
        b"RIFF\x64\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        path.write_bytes(header + content if headed else content)
        try:
            samples, rate = load_sound(path, 1, 25.0)
        except DatasetError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert len(samples)
            assert rate > 0
