"""The command line `reactdiff`. Commands import click and what is light alone at their top: `--help` is instant.

Enters: arguments, options, environment.
Leaves: results on stdout, one sentence on stderr, an exit code.
Imports: everything; only tools/commands.py imports it.
"""
