"""All the evidence for a set of weights: its parts, bounds and verdicts."""
