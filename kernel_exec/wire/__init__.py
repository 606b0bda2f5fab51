"""The Jupyter messaging protocol: sockets, one execution as a state machine, merging of outputs."""
