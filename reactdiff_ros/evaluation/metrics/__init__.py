"""Measures on arrays: what a face does, how it goes with another's, and how sure that is."""
