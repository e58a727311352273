"""Figures as text."""

from tdmr_ray.report.statistics import CONFIDENCE, Estimate
from tdmr_ray.training.metrics import METRICS, with_unit

MISSING = "-"
TOP1 = "top1"
IN_NATS = tuple(name for name, metric in METRICS.items() if metric.unit == "nats")
"""Metrics that are not fractions."""


def percent(value: float | None) -> str:
    """Format 0.9543 as '95.4'."""
    return MISSING if value is None else f"{100 * value:.1f}"


def value(figure: float, objective: str = TOP1) -> str:
    """Format a value of the objective with its unit: '95.4 %', or '0.231 nats'."""
    return with_unit(figure, objective)


def figure_cell(figure: Estimate | None, objective: str = TOP1) -> str:
    """Format mean and standard deviation between seeds without a unit: '95.4 ± 0.3', in percent or nats."""
    if figure is None:
        return MISSING
    scale, digits = scale_of(objective), 3 if objective in IN_NATS else 1
    sd = "" if figure.sd is None else f" ± {scale * figure.sd:.{digits}f}"
    return f"{scale * figure.mean:.{digits}f}{sd}"


def spread(figure: Estimate | None, objective: str = TOP1) -> str:
    """Format mean and standard deviation between seeds with their unit: '95.4 ± 0.3 %'."""
    return MISSING if figure is None else f"{figure_cell(figure, objective)} {unit(objective)}"


def scale_of(objective: str) -> float:
    """Return the factor from a value of the objective to its unit."""
    return 1.0 if objective in IN_NATS else 100.0


def unit(objective: str) -> str:
    """Return the unit of the objective's values."""
    return "nats" if objective in IN_NATS else "%"


def gain_cell(gain: Estimate | None, objective: str = TOP1) -> str:
    """Format a difference with its 95 % interval without a unit: '+3.4 [+1.2, +5.6]', in points or nats."""
    if gain is None:
        return MISSING
    scale, digits = scale_of(objective), 3 if objective in IN_NATS else 1
    mean = f"{scale * gain.mean:+.{digits}f}"
    if gain.low is None or gain.high is None:
        return mean
    return f"{mean} [{scale * gain.low:+.{digits}f}, {scale * gain.high:+.{digits}f}]"


def difference(gain: Estimate | None, objective: str = TOP1) -> str:
    """Format a difference with its interval and unit: '+3.4 points [+1.2, +5.6]'."""
    mean, _, interval = gain_cell(gain, objective).partition(" ")
    return f"{mean} {'nats' if objective in IN_NATS else 'points'} {interval}".rstrip()


def significant(p_value: float | None) -> bool:
    """Return whether a corrected p value is below 5 %; never if there is none."""
    return p_value is not None and p_value < 1 - CONFIDENCE


def milliseconds(value: float | None) -> str:
    """Format 0.8512 as '0.85'."""
    return MISSING if value is None else f"{value:.2f}"


def amount(value: float | None) -> str:
    """Format 578474 as '578 k'."""
    if value is None:
        return MISSING
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"
