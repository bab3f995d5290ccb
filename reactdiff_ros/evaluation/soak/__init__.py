"""Long runs: does the listener stay as it was after hours? A journal that outlives its process, and what it shows."""
