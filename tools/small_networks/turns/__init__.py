"""Fits and calibrates the read-out of turns: on real timings first, then on what voice, network and face add."""
