"""What the training page asks of the core: which data there is, what a run costs, launching it, and what came of it."""
