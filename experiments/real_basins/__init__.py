"""Do the probabilities of basins hold on real losses? Occupancy and arrival at all minima of two small problems."""
