"""Does the SDE describe minibatch SGD on this net? Means of observables along the run, with verdicts."""
