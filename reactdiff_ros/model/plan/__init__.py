"""From speaker tokens to a plan: the drawing of one plan, what the next one continues, and the corrections."""
