"""Our kernels in the tools of others: thin translators, each with the tool as an extra."""
