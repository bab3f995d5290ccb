"""Mend what the ROS wheels brought from the machine that built them. A second run changes nothing.

- CMake files name include paths of that machine.
- libfastrtps was compiled for a C library whose condition variables know no steady clock. A wait without end in
  `DomainParticipant::set_listener` then overflows: it holds its mutex and spins for ever, if another node leaves in the
  same instant as this one (github.com/eProsima/Fast-DDS/issues/6513). Told a finite time it waits properly.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy
from elftools.elf.elffile import ELFFile

_LISTENER = "PNS1_25DomainParticipantListenerE"
SET_LISTENER = tuple(
    f"_ZN8eprosima7fastdds3dds17DomainParticipant12set_listenerE{_LISTENER}{mask}"
    for mask in ("", "RKNS1_10StatusMaskE")
)
"""The two that pass on `std::chrono::seconds::max()`."""
WITHOUT_END = (2**63 - 1).to_bytes(8, "little")
FINITE_S = 60
LOADS = (b"\x48\xba", b"\x48\xb9")
"""x86-64: a number of 64 bits to rdx, to rcx: the third, the fourth argument."""


def mend_include_paths(prefix: Path) -> None:
    """Rewrite every CMake file below `prefix`/share."""
    python_include = sysconfig.get_paths()["include"]
    numpy_include = numpy.get_include()
    for path in (prefix / "share").rglob("*.cmake"):
        text = path.read_text(errors="surrogateescape")
        mended = re.sub(
            r"/opt/python/[^/;\"]+/lib/[^/;\"]+/site-packages/numpy/(_core|core)/include", numpy_include, text
        )
        mended = re.sub(r"/opt/python/[^/;\"]+/include/python3\.\d+", python_include, mended)
        if mended != text:
            _replace(path, mended.encode(errors="surrogateescape"))


def mend_endless_waits(library: Path) -> int:
    """Give `set_listener` a finite time. How many places were changed: none where they are not as expected."""
    content = bytearray(library.read_bytes())
    changed = 0
    for place in _places(library):
        loads, number = bytes(content[place : place + 2]), slice(place + 2, place + 10)
        if loads in LOADS and content[number] == WITHOUT_END:
            content[number] = FINITE_S.to_bytes(8, "little")
            changed += 1
    if changed:
        _replace(library, content)
    return changed


def _replace(path: Path, content: bytes | bytearray) -> None:
    """A new file in the old one's place: who runs keeps the old one, and so does a cache that is linked to it."""
    mended = path.with_suffix(".mended")
    mended.write_bytes(content)
    mended.chmod(path.stat().st_mode)
    os.replace(mended, path)


def _places(library: Path) -> list[int]:
    """Where in the file the functions of SET_LISTENER begin."""
    return _places_in(library.read_bytes())


@lru_cache(maxsize=2)
def _places_in(library: bytes) -> list[int]:
    """The wheel has one library under three names, and reading its symbols takes a second."""
    elf = ELFFile(BytesIO(library))
    table = elf.get_section_by_name(".dynsym")
    if table is None or elf.get_machine_arch() != "x64":
        return []
    symbols = [symbol for name in SET_LISTENER for symbol in table.get_symbol_by_name(name) or ()]
    return [offset for symbol in symbols for offset in elf.address_offsets(symbol["st_value"])]


def main(prefix: str) -> None:
    """Mend the environment at `prefix`."""
    mend_include_paths(Path(prefix))
    for library in sorted(Path(prefix, "lib").glob("libfastrtps.so*")):
        if not library.is_symlink():
            mend_endless_waits(library)


if __name__ == "__main__":
    main(sys.argv[1])
