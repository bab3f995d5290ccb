"""Print pip's configuration as uv's, for a shell: reads what `pip config list` prints, writes lines to be evaluated."""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "constraint": "UV_CONSTRAINT",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "no-cache-dir": "UV_NO_CACHE",
    "pre": "UV_PRERELEASE",
}
"""Of pip's options those that say where packages come from."""
SECTIONS = ("global", "install", ":env:")
"""Whose options count for `pip install`, the strongest last."""
YES = {"1": True, "true": True, "yes": True, "on": True}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def uv_settings(listing: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for uv.

    Args:
        listing: lines of `pip config list`: `section.option='value'`, several values in lines of their own.
        environment: what is set already is left as it is.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing:
        matched = re.fullmatch(r"(global|install|:env:)\.([\w-]+)=(.*)", line.strip())
        if matched and matched[2] in NAMES:
            found[matched[1]][matched[2]] = str(ast.literal_eval(matched[3]))
    options = {option: value for section in SECTIONS for option, value in found[section].items()}
    # pip takes the best version of all indexes, uv by default that of the first index that has the package.
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    if CERTIFICATES.is_file():
        settings["UV_NATIVE_TLS"] = "1"  # as pip: certificates of the system, not only those that uv brings
    for option, value in options.items():
        words = value.split()
        if option in ("no-index", "no-cache-dir", "pre"):
            if not YES.get(value.lower()):
                continue
            words = ["allow" if option == "pre" else "1"]
        if words:
            settings[NAMES[option]] = ("," if option == "find-links" else " ").join(words)
    return {name: value for name, value in settings.items() if name not in environment}


if __name__ == "__main__":
    for name, value in uv_settings(sys.stdin, os.environ).items():
        print(f"export {name}={shlex.quote(value)}")
