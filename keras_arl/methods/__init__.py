"""What a method is, a loss or a learner, and how a task is trained with it."""
