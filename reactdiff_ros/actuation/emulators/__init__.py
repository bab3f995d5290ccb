"""Emulated servo buses on pseudo-terminals, with memory tables, speed, inertia, and faults on demand.

Enters: bytes from the makers' libraries, the time, faults that a test wants.
Leaves: the answers of servos that moved as far as their speed and inertia allow.
"""
