"""Opening documents: what is read, and what each unreadable file is told."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actors.cr_extract.pages import MAX_PIXELS, count_pages, open_pages, png
from callboard.errors import BadInput

Save = Callable[..., Path]


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("name", ["page.png", "page.jpg", "page.tiff"])
def test_a_picture_is_one_page_in_rgb(picture: Save, name: str) -> None:
    pages = open_pages(picture(name))
    assert [page.shape for page in pages] == [(120, 200, 3)]
    assert pages[0].dtype == np.uint8
    assert pages[0][50, 50].max() < 40
    assert count_pages(picture(name)) == 1


def test_the_content_tells_the_kind_not_the_name(picture: Save, tmp_path: Path) -> None:
    renamed = picture("page.png").rename(tmp_path / "scan.pdf")
    assert len(open_pages(renamed)) == 1


def test_a_tiff_may_hold_many_pages(tmp_path: Path) -> None:
    frames = [Image.new("L", (90, 60), tone) for tone in (0, 128, 255)]
    frames[0].save(tmp_path / "pages.tiff", save_all=True, append_images=frames[1:])
    assert [int(page[0, 0, 0]) for page in open_pages(tmp_path / "pages.tiff")] == [0, 128, 255]
    assert count_pages(tmp_path / "pages.tiff") == 3


def test_a_pdf_is_rendered_page_by_page(tmp_path: Path) -> None:
    images = [Image.new("L", (300, 200), 255) for _ in range(2)]
    images[0].save(tmp_path / "two.pdf", save_all=True, append_images=images[1:], resolution=100)
    pages = open_pages(tmp_path / "two.pdf")
    assert len(pages) == count_pages(tmp_path / "two.pdf") == 2
    assert pages[0].shape == (400, 600, 3)


def test_orientation_of_exif_is_honoured(picture: Save) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_pages(picture("turned.jpg", exif=exif))[0].shape == (200, 120, 3)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert open_pages(tmp_path / "clear.png")[0].min() == 255


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    pixels = np.zeros((40, 40), np.uint16)
    pixels[:, 20:] = 60000
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    page = open_pages(tmp_path / "deep.png")[0]
    assert (int(page[0, 0, 0]), int(page[0, 39, 0])) == (0, 255)


def test_a_page_survives_as_png(picture: Save, tmp_path: Path) -> None:
    page = open_pages(picture())[0]
    (tmp_path / "again.png").write_bytes(png(page))
    assert np.array_equal(open_pages(tmp_path / "again.png")[0], page)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        open_pages(tmp_path / "nowhere.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"just some text, no picture", "not a PNG, JPEG, TIFF or PDF"),
        (b"GIF89a" + bytes(40), "not a PNG, JPEG, TIFF or PDF"),
        (b"%PDF-1.7\nnothing more", "damaged or cut off"),
        (png_that_claims(20000, 10000), "megapixels"),
        (png_that_claims(9500, 9500), "megapixels"),
        (png_that_claims(4, 4000), "too few"),
    ],
    ids=["empty", "text", "gif", "broken pdf", "200 megapixels", "90 megapixels", "sliver"],
)
def test_bad_content(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        open_pages(tmp_path / "bad.png")


def test_the_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    # Decoding would fail otherwise: the file holds no such pixels.
    (tmp_path / "large.png").write_bytes(png_that_claims(MAX_PIXELS // 1000 + 1, 1000))
    with pytest.raises(BadInput, match="limit is 80"):
        open_pages(tmp_path / "large.png")


@pytest.mark.parametrize("name", ["page.png", "page.jpg", "page.tiff"])
def test_a_truncated_picture(picture: Save, name: str) -> None:
    path = picture(name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(BadInput, match=r"damaged|cut off|not a PNG"):
        open_pages(path)


def test_an_encrypted_pdf(tmp_path: Path) -> None:
    # The smallest document whose trailer demands a password that is not empty.
    key = "28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A"
    body = (
        "%PDF-1.4\n"
        "1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\n"
        f"4 0 obj<</Filter/Standard/V 1/R 2/O<{key}>/U<{key}>/P -44>>endobj\n"
        f"trailer<</Root 1 0 R/Encrypt 4 0 R/ID[<{key[:32]}><{key[:32]}>]/Size 5>>\n%%EOF\n"
    )
    (tmp_path / "locked.pdf").write_text(body)
    with pytest.raises(BadInput, match="encrypted"):
        open_pages(tmp_path / "locked.pdf")
