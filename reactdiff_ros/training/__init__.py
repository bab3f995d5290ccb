"""Simulated dyads, the networks in torch, training and export. Not imported at run time."""
