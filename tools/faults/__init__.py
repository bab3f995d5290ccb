"""Injects faults into the running graph and measures what its face and its servos do."""
