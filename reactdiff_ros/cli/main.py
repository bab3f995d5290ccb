"""`reactdiff`: one command for everything that needs no robot lab.

Exit codes: 0 success, 1 failure (one sentence on stderr), 2 usage, 3 an optional part is not installed, 130 interrupted
by Ctrl-C, for commands that do not normally end that way.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import click

from reactdiff_ros import __version__
from reactdiff_ros.cli import common
from reactdiff_ros.cli.bag import bag
from reactdiff_ros.cli.bench import bench
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_ERROR, EXIT_MISSING, EXIT_STOPPED, log
from reactdiff_ros.cli.docs import docs
from reactdiff_ros.cli.evaluate import evaluate
from reactdiff_ros.cli.evaluation import compare, report
from reactdiff_ros.cli.listen import listen
from reactdiff_ros.cli.react import extract, gallery, react
from reactdiff_ros.cli.robot import robot
from reactdiff_ros.cli.say import say
from reactdiff_ros.cli.settings import config, doctor, style
from reactdiff_ros.cli.simulate import demo, simulate
from reactdiff_ros.cli.study import study
from reactdiff_ros.cli.training import dev, export, paper, train, train_nods
from reactdiff_ros.errors import MissingExtraError, ReactdiffError
from reactdiff_ros.resources import in_checkout, missing_extra, require_tools

if in_checkout():
    require_tools()
    # They add to the groups what only a checkout has.
    import tools.commands
    import tools.small_networks.commands  # noqa: F401

SECTIONS = {
    "Use": (listen, say, react, gallery, style, config, doctor),
    "Robots": (robot,),
    "Recordings and studies": (bag, extract, evaluate, report, compare, study, bench),
}
"""What `reactdiff --help` lists, in this order."""


class Sections(common.Group):
    """A group whose help lists its commands by section. Hidden commands are names from before `reactdiff dev`."""

    def sections(self) -> dict[str, Sequence[click.Command]]:
        """The commands that the help lists, by title."""
        return {**SECTIONS, "Development": (dev,)}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a note where a command has moved to `reactdiff dev`."""
        name, command, rest = super().resolve_command(ctx, args)
        if command in dev.commands.values():
            log(f"'reactdiff {name}' is now 'reactdiff dev {name}': the old name works until the next release")
        return name, command, rest


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}


@click.group(cls=Sections, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="reactdiff")
def cli() -> None:
    """Give a robot a listening face: live, causal facial reactions by latent diffusion."""


for _command in (simulate, train, train_nods, export, paper, demo, docs):
    dev.add_command(_command)
for _command in (*(c for commands in SECTIONS.values() for c in commands), dev, *dev.commands.values()):
    cli.add_command(_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; errors become sentences on stderr."""
    try:
        code = cli.main(args=None if argv is None else list(argv), prog_name="reactdiff", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_STOPPED
    except ReactdiffError as error:
        log(str(error))
        return EXIT_MISSING if isinstance(error, MissingExtraError) else EXIT_ERROR
    except ImportError as error:
        log(str(missing_extra(error)))
        return EXIT_MISSING
    except BrokenPipeError:
        # The reader of our output ended (`reactdiff ... | head`), which is not an error.
        sys.stderr.close()
        return EXIT_DONE
    return code if isinstance(code, int) else EXIT_DONE


def program() -> int:
    """`main` as a process: a duplicate Ctrl-C changes neither its cleanup nor its exit code."""
    common.catch_interrupts()
    code = main()
    # Python gives SIGINT its default action while it is taken down, but keeps SIG_IGN.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


if __name__ == "__main__":
    sys.exit(program())
