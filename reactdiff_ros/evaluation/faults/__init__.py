"""Faults are injected into the running graph, and what its face does is measured."""
