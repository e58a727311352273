"""Write the files of a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tdmr_ray.report.folder import Comparison
from tdmr_ray.report.markdown import render_markdown
from tdmr_ray.report.page import render_page
from tdmr_ray.report.per_class import per_class
from tdmr_ray.report.published import publish
from tdmr_ray.report.tables import flat_table
from tdmr_ray.run_layout import RunLayout


def write_reports(comparisons: Sequence[Comparison], folder: Path) -> Mapping[str, Path]:
    """Write `leaderboard.md`, `.csv`, `.json` and `.html`; return the paths by file ending."""
    paths = {ending: RunLayout(folder).leaderboard(ending) for ending in ("md", "csv", "json", "html")}
    texts = [
        render_markdown(
            each.board, title=f"Leaderboard: {each.title}", per_class=per_class(each), exported=each.exported
        )
        for each in comparisons
    ]
    paths["md"].write_text("\n".join(texts), encoding="utf-8")
    frames = [flat_table(each.board).assign(searches=each.title) for each in comparisons]
    pd.concat(frames).to_csv(paths["csv"], index=False)
    paths["json"].write_bytes(publish(comparisons))
    paths["html"].write_text(render_page(comparisons), encoding="utf-8")
    return paths
