"""What runs beside or inside the kernel: needs the standard library, IPython and ipykernel, and nothing of ours.

It is shipped, never imported by the rest: `supervisor.py` runs as a process of its own between host and kernel;
`launcher.py` starts ipykernel in the kernel's own interpreter, which may lack everything else. The one exception is
`codec.py` with what it needs: both sides of the wire load it, as both must agree on the form of a value.
"""
