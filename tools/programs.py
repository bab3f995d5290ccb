"""Programs that end with the process that starts them, however that ends."""

from __future__ import annotations

import shutil
from collections.abc import Sequence


def with_us(command: Sequence[str]) -> list[str]:
    """`command`, killed by the kernel when the thread that starts it is gone (setpriv of util-linux, where it is)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else [*command]
