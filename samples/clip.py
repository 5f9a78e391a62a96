"""Draws the sample clip: ``python -m samples.clip [FOLDER]``. It needs the extras media and cr-extract.

A stage behind a curtain, a spotlight that wanders, the number of the second, and a scale of eight tones.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from PIL import Image, ImageDraw

from actors import ffmpeg
from actors.scratch import scratch_folder
from samples.canvas import find_font
from samples.draw import SANS_BOLD

WIDTH, HEIGHT, RATE, SECONDS = 854, 480, 15, 8
#: Half tones above the A of 440 Hz, one for each second.
SCALE = (3, 5, 7, 8, 10, 12, 14, 15)


def frame(number: int) -> Image.Image:
    """One frame of the clip, from 0."""
    second = number / RATE
    image = Image.new("RGB", (WIDTH, HEIGHT), (18, 14, 30))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 380, WIDTH, HEIGHT), fill=(92, 60, 36))
    spot = WIDTH / 2 + 200 * math.sin(2 * math.pi * second / SECONDS)
    draw.polygon(((WIDTH / 2, 0), (spot - 110, 400), (spot + 110, 400)), fill=(60, 54, 70))
    draw.ellipse((spot - 110, 370, spot + 110, 430), fill=(236, 214, 150))
    draw.text((spot, 320), str(int(second) + 1), font=find_font(SANS_BOLD, 110), fill="white", anchor="mm")
    drawn_back = 40 + 110 * min(1.0, second / 2)
    for side in (0, 1):
        for fold in range(6):
            left = fold * (WIDTH / 2 - drawn_back) / 12
            red = 150 + 40 * (fold % 2)
            box = (left, 0, left + (WIDTH / 2 - drawn_back) / 12, HEIGHT)
            draw.rectangle((WIDTH - box[2], 0, WIDTH - box[0], HEIGHT) if side else box, fill=(red, 24, 38))
    draw.text((WIDTH / 2, 40), "CALLBOARD", font=find_font(SANS_BOLD, 40), fill=(236, 214, 150), anchor="mm")
    return image


def main(folder: Path) -> None:
    """Draw the clip into a folder."""
    target = folder / "clip.mp4"
    tones = "+".join(
        f"between(t,{second},{second + 0.8})*sin(2*PI*{440 * 2 ** (tone / 12):.2f}*t)"
        for second, tone in enumerate(SCALE)
    )
    with scratch_folder() as scratch:
        for number in range(RATE * SECONDS):
            frame(number).save(scratch / f"{number:04d}.png")
        ffmpeg.run(
            [
                *("-framerate", str(RATE), "-i", str(scratch / "%04d.png")),
                *("-f", "lavfi", "-i", f"aevalsrc='0.2*({tones})':d={SECONDS}:s=44100"),
                *("-c:v", "libx264", "-preset", "veryslow", "-crf", "28", "-pix_fmt", "yuv420p"),
                *("-c:a", "aac", "-b:a", "48k", "-movflags", "+faststart", "-bitexact", str(target)),
            ]
        )
    print(f"{target.name}: {target.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
