"""Makes the demo speaker (head, script, voice, clip) and measures what perception reads of rendered faces."""
