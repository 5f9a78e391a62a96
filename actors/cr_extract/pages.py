"""Opening a document: PNG, JPEG, TIFF (also of many pages) or PDF → its pages as images.

What a file is, is told by its content, never by its name. Sizes are checked before anything is decoded,
so that a small file which would unpack to gigabytes costs nothing.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from callboard.errors import BadInput

PageImage = NDArray[np.uint8]
"""One page: height × width × 3, uint8, RGB."""

MAX_PIXELS = 80_000_000
"""Pixels of one page that are decoded at most; A3 at 600 dots per inch is 70 million."""

MAX_SIDE = 5000
"""Pixels; a page that is larger is reduced to this after decoding. Text stays legible, steps stay quick."""

MAX_PAGES = 500

PDF_DOTS_PER_INCH = 200
_IMAGE_FORMATS = ("PNG", "JPEG", "TIFF")
# PDFium keeps global state: one call at a time in a process.
_PDFIUM = threading.Lock()


def open_pages(path: str | Path) -> list[PageImage]:
    """All pages of a document, upright as its EXIF orientation says, transparency laid on white.

    Raises:
        BadInput: the file is missing, empty, truncated, encrypted, of another kind, or too large.
    """
    return list(iterate_pages(path))


def iterate_pages(path: str | Path) -> Iterator[PageImage]:
    """Like :func:`open_pages`, one page at a time, for documents of many pages."""
    path = Path(path)
    head = _head_of(path)
    # PDF readers accept a header that is preceded by some other bytes.
    if b"%PDF-" in head:
        yield from _pdf_pages(path)
    else:
        yield from _image_pages(path)


def count_pages(path: str | Path) -> int:
    """How many pages a document has, decoding none. Raises as :func:`open_pages` does."""
    path = Path(path)
    if b"%PDF-" in _head_of(path):
        with _open_pdf(path) as document:
            return len(document)

    with _bad_images_named(path), Image.open(path, formats=_IMAGE_FORMATS) as image:
        return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def png(image: PageImage) -> bytes:
    """A page as a PNG file."""
    memory = io.BytesIO()
    Image.fromarray(image).save(memory, "PNG", compress_level=1)
    return memory.getvalue()


def _head_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise BadInput(f"{path.name}: the file is empty (0 bytes)")
    return head


def _image_pages(path: Path) -> Iterator[PageImage]:

    with _bad_images_named(path), Image.open(path, formats=_IMAGE_FORMATS) as image:
        many = image.format == "TIFF"
        for number, frame in enumerate(ImageSequence.Iterator(image), start=1):
            if number > MAX_PAGES:
                raise BadInput(f"{path.name}: more than {MAX_PAGES} pages")
            _check_size(path, *frame.size)
            upright = ImageOps.exif_transpose(frame)
            upright.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
            yield np.asarray(_on_white(upright))
            if not many:
                return


def _on_white(image: Any) -> Any:
    """A Pillow image of any mode as RGB, its transparent parts white, its 16 bits scaled to 8."""

    if image.mode.startswith(("I", "F")):
        low, high = image.getextrema()
        scale = 255.0 / (high - low) if high > low else 1.0
        return image.point(lambda value: value * scale - low * scale).convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadInput(
            f"{path.name}: {width} × {height} is {width * height / 1e6:.0f} megapixels, "
            f"the limit is {MAX_PIXELS // 1_000_000}; scan it at a lower resolution"
        )
    if min(width, height) < 16:
        raise BadInput(f"{path.name}: {width} × {height} pixels are too few to hold text")


@contextmanager
def _bad_images_named(path: Path) -> Iterator[None]:
    """Turns what Pillow raises about a file into BadInput."""

    try:
        yield
    except UnidentifiedImageError as error:
        raise BadInput(f"{path.name}: not a PNG, JPEG, TIFF or PDF file") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = MAX_PIXELS // 1_000_000
        raise BadInput(f"{path.name}: too large to decode, the limit is {limit} megapixels") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise BadInput(f"{path.name}: the image is damaged or cut off ({error})") from error


@contextmanager
def _open_pdf(path: Path) -> Iterator[Any]:
    """An open PdfDocument with at least one page and at most MAX_PAGES."""

    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise BadInput(f"{path.name}: the PDF is encrypted; save it without its password") from error
            raise BadInput(f"{path.name}: the PDF is damaged or cut off ({error})") from error
    try:
        if not 0 < len(document) <= MAX_PAGES:
            raise BadInput(f"{path.name}: {len(document)} pages; from 1 to {MAX_PAGES} can be read")
        yield document
    finally:
        with _PDFIUM:
            document.close()


def _pdf_pages(path: Path) -> Iterator[PageImage]:

    with _open_pdf(path) as document:
        for index in range(len(document)):
            with _PDFIUM:
                try:
                    page = document[index]
                    longest = max(page.get_size())
                    scale = min(PDF_DOTS_PER_INCH / 72, MAX_SIDE / max(longest, 1.0))
                    bitmap = page.render(scale=scale)
                    image = bitmap.to_pil().convert("RGB")
                except pypdfium2.PdfiumError as error:
                    raise BadInput(f"{path.name}: page {index + 1} is damaged ({error})") from error
                pixels = np.array(image)
                page.close()
            yield pixels
