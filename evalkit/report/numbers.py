"""How numbers are printed. Report and screen use these functions only, so both always show the same figures.

Every number is rounded here and nowhere else. What is not known is a dash.
"""

from __future__ import annotations

from evalkit.stats.intervals import Interval

_ROUNDING = 1e-12
"""What sums of shares may be off by: such a difference is no number."""
DASH = "–"
NOT_SCORED = "not scored: needs a judge"


def pct(share: float | None) -> str:
    """0.2333 → `23.3 %`."""
    return DASH if share is None else f"{100.0 * share:.1f} %"


def score(share: float | None, unscored: int) -> str:
    """A score; where there is none because nothing but a judge could give one, these words instead of a number."""
    return NOT_SCORED if share is None and unscored else pct(share)


def interval(bounds: Interval | tuple[float, float] | None) -> str:
    """(0.1667, 0.3158) → `16.7 to 31.6 %`."""
    return DASH if bounds is None else f"{100.0 * bounds[0]:.1f} to {100.0 * bounds[1]:.1f} %"


def points(share: float | None) -> str:
    """A difference of shares in percentage points: 0.0744 → `7.4 points`."""
    return DASH if share is None else f"{100.0 * share:.1f} points"


def points_range(bounds: Interval | tuple[float, float] | None) -> str:
    """Both ends of the interval of a difference: (-0.2667, -0.0086) → `-26.7 to -0.9 points`."""
    return DASH if bounds is None else f"{100.0 * bounds[0]:.1f} to {100.0 * bounds[1]:.1f} points"


def count(number: float | None) -> str:
    """1234 → `1,234`."""
    return DASH if number is None else f"{number:,.0f}"


def amount(number: float) -> str:
    """1250.0 → `1,250`, 12.25 → `12.3`."""
    return f"{number:,.1f}".removesuffix(".0")


def number(value: float | None) -> str:
    """A number of no special kind in three significant digits: 0.8909 → `0.891`, 1234.5 → `1,234`, 3.0 → `3`."""
    if value is None:
        return DASH
    if abs(value - round(value)) < _ROUNDING or abs(value) >= 999.5:
        return f"{round(value):,}"
    return f"{value:.3g}"


def p(value: float | None) -> str:
    """A p value: 0.0654 → `0.065`, 0.0002 → `< 0.001`."""
    if value is None:
        return DASH
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"


def p_is(value: float | None) -> str:
    """A p value in a sentence: 0.0654 → `p = 0.065`, 0.0002 → `p < 0.001`."""
    shown = p(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def span(bounds: tuple[float, float] | None) -> str:
    """Both ends of an interval of numbers: (0.647, 1.0) → `0.647 to 1`."""
    return DASH if bounds is None else f"{number(bounds[0])} to {number(bounds[1])}"


def of(part: int, whole: int) -> str:
    """(28, 120) → `28 of 120`."""
    return f"{count(part)} of {count(whole)}"


def seconds(duration: float | None) -> str:
    """8.42 → `8.4 s`, 125 → `2 min 05 s`, 3780 → `1 h 03 min`."""
    if duration is None:
        return DASH
    if duration < 59.95:
        return f"{duration:.1f} s"
    if duration < 3599.5:
        minutes, rest = divmod(round(duration), 60)
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(duration / 60.0), 60)
    return f"{hours} h {minutes:02d} min"


def limits_s(bounds: tuple[float, float] | None) -> str:
    """Limits in seconds as they were declared: (10.0, 10.0) → `10 s`, (1.0, 2.5) → `1 to 2.5 s`."""
    if bounds is None:
        return DASH
    low, high = (f"{bound:,.10g}" for bound in bounds)
    return f"{low} s" if low == high else f"{low} to {high} s"


def rate(per_second: float | None) -> str:
    """81.27 → `81.3`; above a hundred without the decimal."""
    if per_second is None:
        return DASH
    return f"{per_second:.1f}" if per_second < 99.95 else f"{per_second:,.0f}"


def usd(amount: float | None) -> str:
    """0.00786 → `$0.0079`, 12.3 → `$12.30`; an unknown cost is `unknown`, never zero."""
    if amount is None:
        return "unknown"
    return f"${amount:,.2f}" if amount >= 1.0 or amount == 0.0 else f"${amount:.2g}"


def per(amount: float | None, units: float | None) -> float | None:
    """A ratio, or None where a part is unknown or nothing was counted."""
    return None if amount is None or not units else amount / units


def plural(number: int, noun: str) -> str:
    """(1, "item") → `1 item`, (1200, "item") → `1,200 items`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"
