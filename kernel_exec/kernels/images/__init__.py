"""Images for kernels in containers: any image can be one's base, and our own needs no registry.

prepared   an image in which kernels can start, made on another one where that lacks something
default    our default image, out of Debian's packages and wheels
inventory  the images that this program has made, and which of them nobody uses

What takes longer is told to the logger `kernel_exec`, at level INFO. What makes images is imported when one is made.
"""
