"""How long does SGD stay in a well? Mean first-passage times against the barrier: measured, exact, Kramers."""
