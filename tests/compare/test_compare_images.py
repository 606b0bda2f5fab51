"""Pictures beyond the planted ones: broken, huge, transparent, and small changes."""

from __future__ import annotations

import base64
import struct
import time
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from kernel_exec.compare import Difference, Rules, cell_differences
from kernel_exec.compare.pixels import MAX_PIXELS
from tests.compare.cells import cell, display


def encoded(image: Image.Image, form: str = "PNG", **more: Any) -> str:
    file = BytesIO()
    image.save(file, form, **more)
    return base64.b64encode(file.getvalue()).decode()


def drawn(*shapes: tuple[tuple[int, int, int, int], str], size: tuple[int, int] = (200, 100)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    for box, colour in shapes:
        ImageDraw.Draw(image).rectangle(box, colour)
    return image


def compared(old: str, new: str, mime: str = "image_png", rules: Rules | None = None) -> list[Difference]:
    return cell_differences(cell(display(**{mime: old})), cell(display(**{mime: new})), rules or Rules())


def bomb(width: int, height: int) -> str:
    """A small PNG that says it is large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


WHITE = encoded(drawn())


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "!!!",
        "bm8gcGljdHVyZQ==",
        WHITE[:100],
        WHITE[: len(WHITE) // 2],
        bomb(100_000, 100_000),
        bomb(MAX_PIXELS // 100, 101),
        bomb(2**31 - 1, 2**31 - 1),
        encoded(drawn(), "TIFF"),
        "é" * 100,
    ],
)
def test_what_is_no_picture_is_a_difference(broken: str) -> None:
    began = time.process_time()
    for old, new in ((WHITE, broken), (broken, WHITE)):
        (found,) = compared(old, new)
        assert found.kind in {"image", "missing output", "extra output"}
        assert found.picture is None
    assert compared(broken, broken) == []
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        (drawn(((10, 10, 50, 12), "red")), drawn(((10, 10, 50, 12), "blue")), True),
        (drawn(((10, 10, 50, 12), "red")), drawn(((10, 14, 50, 16), "red")), True),
        (drawn(((10, 10, 50, 12), "red")), drawn(((11, 10, 51, 12), "red")), False),  # one pixel beside
        (drawn(((10, 10, 10, 10), "black")), drawn(), False),  # one pixel
        (drawn(((10, 10, 12, 12), "black")), drawn(), True),  # a dot
        (drawn(((10, 10, 90, 90), "#ffffff")), drawn(((10, 10, 90, 90), "#fafafa")), False),  # nobody sees that
        (drawn(((10, 10, 90, 90), "#ffffff")), drawn(((10, 10, 90, 90), "#f0f0f0")), True),
        (drawn(), drawn(size=(201, 100)), True),
    ],
)
def test_what_people_see(old: Image.Image, new: Image.Image, seen: bool) -> None:
    assert bool(compared(encoded(old), encoded(new))) == seen
    assert bool(compared(encoded(new), encoded(old))) == seen


def test_noise_of_a_few_levels_is_not_seen_and_much_is() -> None:
    random = np.random.default_rng(1)
    base = np.full((100, 200, 3), 120, np.uint8)
    little, much = (Image.fromarray(base + random.integers(0, high, base.shape, np.uint8)) for high in (6, 120))
    assert compared(encoded(Image.fromarray(base)), encoded(little)) == []
    assert compared(encoded(Image.fromarray(base)), encoded(much))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_how_pixels_are_stored_is_no_difference(mode: str) -> None:
    image = drawn(((10, 10, 90, 90), "black"))
    assert compared(encoded(image), encoded(image.convert(mode))) == []


def test_transparent_is_white() -> None:
    clear = Image.new("RGBA", (200, 100), (0, 0, 0, 0))
    assert compared(WHITE, encoded(clear)) == []
    assert compared(encoded(drawn(((0, 0, 200, 100), "black"))), encoded(clear))


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_lossy_picture(form: str) -> None:
    image, other = drawn(((20, 20, 150, 60), "red")), drawn(((20, 20, 150, 60), "green"))
    mime = f"image_{form.lower()}"
    assert compared(encoded(image, form, quality=90), encoded(image, form, quality=80), mime) == []
    assert compared(encoded(image, form, quality=90), encoded(other, form, quality=90), mime)


def test_notes_beside_a_picture_are_no_difference_and_the_picture_is() -> None:
    about = PngImagePlugin.PngInfo()
    about.add_text("Author", "a")
    about.add_itxt("Title", "b", zip=True)
    assert compared(WHITE, encoded(drawn(), pnginfo=about)) == []
    assert compared(WHITE, encoded(drawn(((10, 10, 90, 90), "red")), pnginfo=about))


def test_sixteen_bits_a_pixel() -> None:
    old, new = (Image.fromarray(np.full((50, 50), level, np.uint16)) for level in (30_000, 40_000))
    assert compared(encoded(old), encoded(new))
    assert compared(encoded(old), encoded(Image.fromarray(np.full((50, 50), 30_100, np.uint16)))) == []


def test_an_animation_is_the_same_or_not() -> None:
    first, second, third = drawn(), drawn(((10, 10, 50, 50), "red")), drawn(((10, 10, 50, 50), "blue"))
    old, new = (encoded(first, "GIF", save_all=True, append_images=[frame]) for frame in (second, third))
    assert compared(old, old, "image_gif") == []
    assert compared(old, new, "image_gif")


def test_pictures_in_html() -> None:
    def page(colour: str, note: str = "", text: str = "") -> str:
        picture = encoded(drawn(((10, 10, 50, 50), colour)), comment=note, compress_level=len(note))
        return f'<table><tr><td><img src="data:image/png;base64,{picture}"></table>{text}'

    assert compared(page("red"), page("red", "abc"), "text_html") == []
    (found,) = compared(page("red"), page("blue"), "text_html")
    assert (found.kind, bool(found.picture)) == ("image", True)
    assert [difference.kind for difference in compared(page("red"), page("red", text="x"), "text_html")] == ["text"]


def test_how_much_may_differ() -> None:
    old, new = encoded(drawn()), encoded(drawn(((10, 10, 29, 29), "black")))
    assert compared(old, new, rules=Rules(image=0.01))
    assert compared(old, new, rules=Rules(image=0.02)) == []


def test_the_picture_of_a_large_difference_is_small() -> None:
    old, new = (Image.new("RGB", (2000, 1500), colour) for colour in ("red", "blue"))
    (found,) = compared(encoded(old), encoded(new))
    assert found.picture
    with Image.open(BytesIO(found.picture)) as picture:
        assert picture.width < 4000
    assert set(found.as_dict()) >= {"kind", "message", "picture", "cell", "cell_id", "where", "old", "new"}
