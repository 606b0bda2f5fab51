"""Starts ipykernel in the kernel's interpreter."""

import sys

del sys.path[0]
sys.modules["debugpy"] = None
from ipykernel import kernelapp
import ipykernel.debugger

del sys.modules["debugpy"]
kernelapp.launch_new_instance()
