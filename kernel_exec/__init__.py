"""kernel_exec: a stateful code executor on live Jupyter kernels."""
