"""Buses of servos that are not there: on pseudo-terminals, with memory tables, speed, inertia, and faults on demand."""
