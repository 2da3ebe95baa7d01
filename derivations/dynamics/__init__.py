"""SGD and its equations: sampling, one-step moments, momentum, SVAG, integrators, scaling rules."""
