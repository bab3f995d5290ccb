"""Readers of recorded dyads: everything comes out as speaker streams and listener coefficients on the 25 Hz grid."""
