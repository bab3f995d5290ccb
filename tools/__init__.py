"""Harnesses and production code that no user installs: they run from a checkout of the repository.

Enters: the package, with its nodes, its rooms and its laboratory; recordings. Leaves: figures of faults and of long
runs (docs/reliability.json, docs/soak.json), the demo speaker, the noise of perception, the small networks that ship.
Imports: reactdiff_ros. Nothing in the package imports this folder but the commands that run it.
"""
