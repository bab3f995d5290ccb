"""Readers of recorded dyads: everything comes out as speaker streams and listener coefficients on the 25 Hz grid.

Enters: folders in the layouts of REACT, MARS, DualTalk, FaceVerse, of recorded calls and of `reactdiff extract`.
Leaves: `Recording`s; a `DatasetError` that names file and field.
Imports: of the model what describes its inputs (tokens, conditions, style). No torch.
"""
