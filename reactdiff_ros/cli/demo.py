"""`reactdiff dev demo`: the synthetic speaker."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def demo() -> None:
    """Render the bundled demo speaker."""


@demo.command()
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Media file to write (.mp4)."
)
def render(output: Path) -> int:
    """Render the demo speaker's performance with its voice (from a checkout, with espeak-ng; two or three minutes)."""
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.extras import require_tools

    require_tools()
    from tools.demo.render_clip import main

    main(str(output))
    tell(f"wrote {output}")
    return 0
