"""Letters of any script, rendered once for each (letter, font) pair; further variety comes from `distort`."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

GLYPH_SIZE_PX = 48
_INK_SIZE_PX = 40
_POINT_SIZE_PX = 96


@dataclass(frozen=True)
class GlyphSet:
    """Glyphs as uint8 [N, S, S], white on black, with labels [N] that index into `characters`."""

    images: Tensor
    labels: Tensor
    characters: tuple[str, ...]


def render_glyphs(characters: Sequence[str], fonts: Sequence[str]) -> GlyphSet:
    """Render every character in every font that has it, scaled so that its longer side is 40 of 48 px.

    Args:
        characters: Single characters of any script; the class of a glyph is its position here.
        fonts: File names, without `.ttf`, of fonts that matplotlib ships.

    Raises:
        ValueError: If a font is not shipped, or no font has one of the characters.
    """
    images, labels = [], []
    for font in fonts:
        path = _font_path(font)
        truetype = ImageFont.truetype(path, _POINT_SIZE_PX)
        available = _available(path)
        for label, character in enumerate(characters):
            if character in available:
                images.append(_render(character, truetype))
                labels.append(label)
    missing = [character for i, character in enumerate(characters) if i not in set(labels)]
    if missing:
        raise ValueError(f"every character must be in at least one font, but none has {missing}")
    return GlyphSet(torch.stack(images), torch.tensor(labels), tuple(characters))


def is_letter(character: str) -> bool:
    """Return whether Unicode classifies the character as a letter without a numeric value."""
    return unicodedata.category(character).startswith("L") and unicodedata.numeric(character, None) is None


def _font_path(font: str) -> Path:
    import matplotlib  # here, since training needs neither it nor these glyphs

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    if not path.is_file():
        raise ValueError(f"font must be among matplotlib's, but got {font!r}")
    return path


def _available(path: Path) -> frozenset[str]:
    """Return the letters of a font; only the ASCII ones for Computer Modern, which uses TeX's encoding."""
    from matplotlib.ft2font import FT2Font

    letters = frozenset(filter(is_letter, map(chr, FT2Font(str(path)).get_charmap())))
    return frozenset(filter(str.isascii, letters)) if path.name.startswith("cm") else letters


def _render(character: str, font: ImageFont.FreeTypeFont) -> Tensor:
    """Render one glyph, [S, S] uint8, with its ink box centred."""
    left, top, right, bottom = (round(edge) for edge in font.getbbox(character))
    page = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(page).text((2 - left, 2 - top), character, fill=255, font=font)
    ink = page.crop(page.getbbox())
    scale = _INK_SIZE_PX / max(ink.size)
    width, height = (max(1, round(side * scale)) for side in ink.size)
    glyph = Image.new("L", (GLYPH_SIZE_PX, GLYPH_SIZE_PX))
    corner = ((GLYPH_SIZE_PX - width) // 2, (GLYPH_SIZE_PX - height) // 2)
    glyph.paste(ink.resize((width, height), Image.Resampling.LANCZOS), corner)
    page_px: Tensor = pil_to_tensor(glyph)
    return page_px[0]
