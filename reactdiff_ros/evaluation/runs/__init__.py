"""Evaluation runs: lists of work, worker processes, several machines, and going on where a run was ended."""
