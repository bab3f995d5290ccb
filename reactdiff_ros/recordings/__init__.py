"""Recorded people: bags, replay of a recording through the listener, readers of datasets, and blind studies.

Enters: bags, videos, datasets of dyads, study plans.
Leaves: pictures, sound and messages in the order of their stamps; bags; replays as arrays, bags and videos; speaker
    streams with listener coefficients; sealed conditions.
Imports: the rooms, session and launching; nodes in `graph/` alone.
"""
