"""From SpeakerFrames to what the networks see: the 25 Hz grid, engagement, delay, evidence of change."""
