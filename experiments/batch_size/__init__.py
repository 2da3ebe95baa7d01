"""Which batch size is best? Test accuracy against batch size, and the law of its optimum in η, N and momentum."""
