"""The demo speaker: how its head moves with coefficients. tools/demo makes the head and renders the clip.

Enters: coefficients of a face.
Leaves: vertices and landmarks of the head.
Imports: the shared values.
"""
