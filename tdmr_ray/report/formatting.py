"""Figures as text."""

from tdmr_ray.report.row import Control
from tdmr_ray.report.statistics import CONFIDENCE, Estimate

MISSING = "-"


def percent(value: float | None) -> str:
    """Format 0.9543 as '95.4'."""
    return MISSING if value is None else f"{100 * value:.1f}"


def spread(figure: Estimate | None) -> str:
    """Format mean and standard deviation between seeds in percent: '95.4 ± 0.3'."""
    if figure is None:
        return MISSING
    return percent(figure.mean) + ("" if figure.sd is None else f" ± {100 * figure.sd:.1f}")


def points(gain: Estimate | None) -> str:
    """Format a difference in percentage points with its 95 % interval: '+3.4 [+1.2, +5.6]'."""
    if gain is None:
        return MISSING
    if gain.low is None or gain.high is None:
        return f"{100 * gain.mean:+.1f}"
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def points_over(control: Control | None) -> str:
    """Format a finalist's gain over a control, with an asterisk if it is significant after correction."""
    if control is None:
        return MISSING
    return points(control.gain) + ("*" if control.p_value is not None and control.p_value < 1 - CONFIDENCE else "")


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
