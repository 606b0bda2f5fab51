"""Where a kernel runs: one module for each kind of place, and what an executor sees of a started kernel."""
