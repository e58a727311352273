"""The report's part on the images: escaped, small, and absent without an inspection."""

from dataclasses import replace

import torch
from helpers.made_search import HOSTILE, made_search

from tdmr_ray.inspection.contents import Inspection
from tdmr_ray.inspection.thumbnails import thumbnail, with_heat
from tdmr_ray.report.folder import compare
from tdmr_ray.report.page import render_page


def test_names_of_the_users_own_are_escaped() -> None:
    image = torch.rand(3, 200, 300)
    picture, overlay = thumbnail(image), thumbnail(with_heat(image, torch.rand(200, 300)))
    issue = {"picture": picture, "path": HOSTILE[1], "split": "val", "label": HOSTILE[0], "suggested": HOSTILE[2]}
    heat_map = {"picture": picture, "overlay": overlay, "label": HOSTILE[0], "predicted": HOSTILE[1]}
    shown: Inspection = {
        "num_labels": 50,
        "num_issues": 1,
        "issues": [{**issue, "probability": 0.004}],  # type: ignore[typeddict-item]
        "num_held_out": 20,
        "confusions": [{"label": HOSTILE[2], "predicted": HOSTILE[0], "count": 3, "pictures": [picture]}],
        "heat_maps": [{**heat_map, "probability": 0.75}],  # type: ignore[typeddict-item]
    }
    plain = render_page(compare([made_search()]))
    page = render_page(compare([replace(made_search(), inspection=shown)]))
    for heading in ("Confused classes", "Where the model looks", "Labels that are likely wrong"):
        assert heading in page
        assert heading not in plain
    assert "<img src=x" not in page
    assert "document.title='injected'</script>" not in page
    assert page.count(picture) == 3
    assert overlay in page
    assert len(page) - len(plain) < 60_000
