"""To learn from finished recognizers: the teachers, the losses, and how the models of others are run."""
