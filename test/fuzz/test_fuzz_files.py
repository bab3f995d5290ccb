"""Any file content is a value or a sentence; any words on the command line are an exit code and a sentence."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from fuzz_tools import NASTY, SLOW, TARGETS, corpus, damaged, examples, seeds, value_or_sentence
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.cli.main import cli, main


@pytest.mark.timeout(600)  # run beside others at idle priority, on a machine with other work
@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_and_what_has_broken_parsers_before_are_a_value_or_a_sentence(target: str) -> None:
    def check(content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            value_or_sentence(TARGETS[target], content, Path(folder))

    given(damaged(target))(examples(12 if target in SLOW else 60)(check))()
    for content in (*NASTY, *corpus(target)):
        check(content)


def test_whole_files_are_understood(tmp_path: Path) -> None:
    for target in set(TARGETS) - {"manifest", "network", "result", "arrays"}:  # of those, parts alone
        assert value_or_sentence(TARGETS[target], seeds(target)[0], tmp_path) is not None, target


words = st.one_of(
    st.sampled_from(["", "-", "none", "nan", "-1", "1e999", "0x10", "a=b", "x:=y", ":=", "../../etc/passwd", "\0"]),
    st.text(max_size=12),
).filter(lambda word: word != "--")
STOP = ["--there-is-no-such-option"] * 2
"""The first may be taken for an option's value."""


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, part in command.commands.items():
            yield from leaves(part, (*path, name))
    else:
        yield path, command


LEAVES = list(leaves(cli))


@given(st.data())
@examples(300)
def test_options_of_any_kind_are_usage(data: st.DataObject) -> None:
    """Every call, of a command or of none, ends with an option that there is not, so that nothing is run."""
    path, command = data.draw(st.one_of(st.just(((), cli)), st.sampled_from(LEAVES)))
    options = [o for p in command.params if path for o in p.opts if o.startswith("-")]
    given_words = data.draw(st.lists(st.one_of(words, st.sampled_from(options or ["-"])), max_size=8))
    assert main([*path, *given_words, *STOP]) == 2


COMMANDS = {
    ("robot", "check"): ("profile", ".yaml"), ("robot", "parameters"): ("profile", ".yaml"),
    ("report",): ("result", ".npz"), ("compare",): ("result", ".npz"), ("evaluate", "arrays"): ("arrays", ".npz"),
    ("dev", "docs", "evidence"): ("evidence", ".json"), ("dev", "docs", "benchmarks"): ("faults", ".json"),
    ("bag", "info"): ("mcap", ".mcap"),
}  # fmt: skip
"""Commands that read a file and nothing else."""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_files_of_any_content_are_a_sentence(command: tuple[str, ...], capfd: pytest.CaptureFixture) -> None:
    target, suffix = COMMANDS[command]

    def call(content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / f"x{suffix}"
            path.write_bytes(content)
            more = {("compare",): [str(path)], ("report",): ["--output", str(Path(folder) / "page.html")]}
            assert main([*command, str(path), *more.get(command, [])]) in (0, 1, 2, 3)
            assert path.read_bytes() == content

    given(damaged(target))(examples(8)(call))()
    for content in NASTY:
        call(content)
    assert "Traceback" not in capfd.readouterr().err
