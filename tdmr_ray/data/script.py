"""`script`: letters of two alphabets that no built-in foundation was trained on, rendered with a fixed seed.

There are forty classes, each in eight sans-serif fonts for train and val, and in four serif fonts for test. Every
image is strongly distorted, most of them down to 8-16 px. Letters that look like a Latin one are left out.
"""

import torch
from torch import Generator

from tdmr_ray.data.distort import distort
from tdmr_ray.data.glyphs import render_glyphs

ARMENIAN = "ԱԲԳԴԵԶԷԸԹԺԽԾԿՀՁՂՃՄՆՇ"
GEORGIAN = "აბგდევზთკლმნპჟრსტუფქ"
SCRIPT_LETTERS = ARMENIAN + GEORGIAN

STYLES = ("", "-Bold", "-Oblique", "-BoldOblique")
TRAIN_FONTS = tuple(f"{family}{style}" for family in ("DejaVuSans", "DejaVuSansMono") for style in STYLES)
TEST_FONTS = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic")
TRAIN_COPIES, TEST_COPIES = 5, 6
SEED = 20_260_101


def render_script() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Render all images of the data set.

    Returns:
        Images uint8 [N, 3, 32, 32], labels int64 [N], and bool [N]: whether the font is a test font.
    """
    generator = Generator().manual_seed(SEED)
    images, labels = [], []
    for fonts, copies in ((TRAIN_FONTS, TRAIN_COPIES), (TEST_FONTS, TEST_COPIES)):
        glyphs = render_glyphs(SCRIPT_LETTERS, fonts)
        distorted = distort(glyphs.images.repeat(copies, 1, 1), generator)
        images.append((distorted * 255).round().to(torch.uint8))
        labels.append(glyphs.labels.repeat(copies))
    in_test = [torch.full((len(part),), number == 1) for number, part in enumerate(labels)]
    return torch.cat(images), torch.cat(labels), torch.cat(in_test)
