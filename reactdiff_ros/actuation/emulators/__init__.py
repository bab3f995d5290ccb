"""Buses of servos that are not there: on pseudo-terminals, with memory tables, speed, inertia, and faults on demand.

Enters: bytes from the makers' libraries, the time, faults that a test wants.
Leaves: the answers of servos that moved as far as their speed and inertia let them.
Imports: robots and drivers, for profiles and the axes of joints. Nothing that runs on a robot imports it.
"""
