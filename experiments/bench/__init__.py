"""What a step costs, as ratios of compiled loops timed in turns."""
