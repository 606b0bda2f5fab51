"""Pictures in a cell's outputs: taken out as bytes, and written beside the recording as files."""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Iterator, Sequence

from kernel_exec.folder import Folder
from kernel_exec.results import Image, Output

_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/svg+xml": ".svg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
}


def images_of(outputs: Sequence[Output]) -> list[Image]:
    """Return the pictures among `outputs`, in order, without files.

    An output that offers one picture in several types counts once, with the first type that it names.
    """
    return [image for output in outputs for image in itertools.islice(_images(output), 1)]


def save(images: Sequence[Image], folder: Folder, stem: str) -> list[Image]:
    """Write each picture to `folder` as `STEM-N.png` (or what it is), and return them with their paths.

    A file that is there already is never overwritten: the name gets a further number.

    Raises:
        OSError: a file could not be written.
    """
    return [
        Image(image.data, image.mime, folder.write([image.data], f"{stem}-{number}", _SUFFIXES.get(image.mime, ".img")))
        for number, image in enumerate(images, start=1)
    ]


def _images(output: Output) -> Iterator[Image]:
    for mime, value in output.get("data", {}).items():
        if mime.startswith("image/") and isinstance(value, str):
            data = value.encode("utf-8") if mime == "image/svg+xml" else _decoded(value)
            if data:
                yield Image(data, mime)


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
