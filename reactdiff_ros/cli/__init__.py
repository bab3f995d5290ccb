"""The command line `reactdiff`. Every module here imports click alone at its top, so that `--help` is instant."""
