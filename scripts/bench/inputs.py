"""Writes the inputs that every engine of `npm run bench` gets: little-endian float32, NCHW.

    python scripts/bench/inputs.py OUT

OUT/NAME_WIDTHxHEIGHT_I.f32, where NAME is what the picture was made for: `centerface` and `mobilefacenet` from the
face_*.png of tests/fixtures, `smooth` from seeded random waves.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

FACES = sorted((Path(__file__).resolve().parents[2] / "tests" / "fixtures").glob("face_*.png"))
SMOOTH_SEED = 7000  # far from the seeds that synthetic.py calibrates with


def smooth(width: int, height: int, seed: int) -> np.ndarray:
    """A picture in -1..1 that varies slowly, as pictures do: per channel a sum of a few plane waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:1 : height * 1j, 0:1 : width * 1j]
    waves = rng.uniform(-6, 6, (3, 8, 2))  # periods across the picture
    phase = rng.uniform(0, 1, (3, 8))
    turns = waves[..., 0, None, None] * x + waves[..., 1, None, None] * y + phase[..., None, None]
    planes = np.sin(2 * np.pi * turns).sum(1)
    return (planes / np.abs(planes).max()).astype(np.float32)[None]


def detector_input(face: Image.Image, width: int, height: int) -> np.ndarray:
    """As the page feeds CenterFace: RGB 0..255, scaled to fit, top left on black."""
    scale = min(width / face.width, height / face.height)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(face.resize((int(face.width * scale), int(face.height * scale)), Image.Resampling.BILINEAR))
    return np.asarray(canvas, np.float32).transpose(2, 0, 1)[None]


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)

    def save(name: str, index: int, picture: np.ndarray) -> None:
        height, width = picture.shape[2:]
        picture.astype("<f4").tofile(out / f"{name}_{width}x{height}_{index}.f32")

    for index, path in enumerate(FACES):
        face = Image.open(path).convert("RGB")
        for width, height in ((640, 640), (640, 384), (160, 160)):
            save("centerface", index, detector_input(face, width, height))
        save("mobilefacenet", index, (detector_input(face, 112, 112) - 127.5) / 128)
    for index in range(3):
        for side in (112, 640):
            save("smooth", index, smooth(side, side, SMOOTH_SEED + index))


if __name__ == "__main__":
    main()
