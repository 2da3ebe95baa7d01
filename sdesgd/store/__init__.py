"""What is kept of a computation, and by what it is known: the code, the values and the machine it came from."""
