"""Images for kernels in containers: any image can be one's base, and our own needs no registry.

prepare      an image in which kernels can start, made on another one where that lacks something
bootstrap    our default image, out of Debian's packages and wheels
list_images  those that this program has made
prune        remove those that nobody uses
"""

from kernel_exec.kernels.images.base import bootstrap
from kernel_exec.kernels.images.inventory import OwnImage, list_images, prune
from kernel_exec.kernels.images.names import BASE_IMAGE, DEFAULT_IMAGE, PreparedImage
from kernel_exec.kernels.images.prepare import prepare
from kernel_exec.kernels.images.progress import Progress

__all__ = [
    "BASE_IMAGE",
    "DEFAULT_IMAGE",
    "OwnImage",
    "PreparedImage",
    "Progress",
    "bootstrap",
    "list_images",
    "prepare",
    "prune",
]
