"""Reliability plot: how often a shipped model is right at each confidence."""

import plotly.graph_objects as go

from tdmr_ray.report.figures import COLOURS, GREY, styled
from tdmr_ray.training.reliability import ModelReliability, Reliability

SMALLEST_PX, LARGEST_PX = 6, 26
"""Diameters of the dots, which grow with the share of images in a bin."""


def reliability_plot(model: ModelReliability) -> go.Figure:
    """Plot accuracy over confidence on val, before and after calibration, and on test; the diagonal is ideal."""
    figure = go.Figure(
        go.Scatter(
            x=[0, 100], y=[0, 100], mode="lines", name="ideal", line={"color": GREY, "dash": "dot"}, hoverinfo="skip"
        )
    )
    curves = [("val, not calibrated", model.val_before, GREY), ("val, calibrated", model.val, COLOURS[0])]
    if model.test is not None:
        curves.append(("test, calibrated", model.test, COLOURS[1]))
    for name, found, colour in curves:
        figure.add_trace(_curve(name, found, colour))
    figure.update_xaxes(title_text="mean confidence, %", range=[-3, 103], constrain="domain")
    figure.update_yaxes(title_text="accuracy, %", range=[-5, 105])
    return styled(figure, height=430)


def explain_reliability(model: ModelReliability) -> str:
    """Describe the plot and the errors in words."""
    parts = [
        f"{percent_of(model.val_before)} on val before calibration and {percent_of(model.val)} after it, "
        f"at temperature {model.temperature:.2f}"
    ]
    if model.test is not None:
        parts.append(f"{percent_of(model.test)} on test")
    return (
        f"Expected calibration error: {'; '.join(parts)}. Each dot is a range of confidence; it grows with the images "
        f"in it. Dots below the diagonal are overconfident. Val has {model.val.num_images} images, and the "
        "temperature was fitted to them. After a refit, val figures are those of the trial before it."
    )


def percent_of(found: Reliability) -> str:
    """Return the expected calibration error in per cent."""
    return f"{100 * found.error:.1f} %"


def _curve(name: str, found: Reliability, colour: str) -> go.Scatter:
    span = LARGEST_PX - SMALLEST_PX
    sizes = [SMALLEST_PX + span * (each.count / found.num_images) ** 0.5 for each in found.bins]
    return go.Scatter(
        x=[100 * each.confidence for each in found.bins],
        y=[100 * each.accuracy for each in found.bins],
        text=[f"{each.count} images" for each in found.bins],
        mode="lines+markers",
        name=f"{name} ({percent_of(found)})",
        line={"color": colour, "width": 1},
        marker={"color": colour, "size": sizes, "opacity": 0.75},
        hovertemplate="%{x:.1f} % confident, %{y:.1f} % right<br>%{text}<extra></extra>",
    )
