"""Times what no installation needs to time: metrics next to the challenge's, the published model, replay, a profile."""
