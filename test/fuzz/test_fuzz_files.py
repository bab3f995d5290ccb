"""Whatever a file holds: a value or a sentence. See fuzz_tools."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from fuzz_tools import CORPUS, NASTY, SLOW, TARGETS, corpus, damaged, examples, seeds, value_or_sentence
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.timeout(600)  # run beside others at idle priority, on a machine with other work
@pytest.mark.parametrize("target", TARGETS)
def test_a_damaged_file_is_a_value_or_a_sentence(target: str) -> None:
    @given(st.data())
    @examples(12 if target in SLOW else 60)
    def check(data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            value_or_sentence(TARGETS[target], data.draw(damaged(target)), Path(folder))

    check()


@pytest.mark.parametrize("target", TARGETS)
def test_what_has_broken_parsers_before_is_a_value_or_a_sentence(target: str, tmp_path: Path) -> None:
    for content in NASTY:
        value_or_sentence(TARGETS[target], content, tmp_path)


def test_whole_files_are_understood(tmp_path: Path) -> None:
    for target in set(TARGETS) - {"manifest", "network", "result", "arrays"}:  # of those, parts alone
        assert value_or_sentence(TARGETS[target], seeds(target)[0], tmp_path) is not None, target


@pytest.mark.parametrize(("target", "name"), [(t, n) for t in TARGETS for n, _ in corpus(t)])
def test_what_once_was_a_defect(target: str, name: str, tmp_path: Path) -> None:
    value_or_sentence(TARGETS[target], (CORPUS / target / name).read_bytes(), tmp_path)
