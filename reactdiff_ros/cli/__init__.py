"""The command line `reactdiff`. Every module here imports click alone at its top, so that `--help` is instant.

Enters: arguments, options, environment.
Leaves: results on stdout, one sentence on stderr, an exit code.
Imports: everything; nothing imports it.
"""
