"""Does a judge prefer the longer answer, and what would it say if both were of one length?

The model is that of length-controlled win rates (Dubois et al. 2024, arXiv 2404.04475) without the difficulty of the
items, which takes many models to know: logit P(win) = θ + γ · tanh(Δ / s), where Δ is how much longer the player's
answer is and s the standard deviation of Δ. A penalty of ½γ² keeps γ finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from evalkit.stats.intervals import mean, standard_error
from evalkit.stats.judging import HALF, Rate, rate, sign_p

ENOUGH = 100
"""Below so many pairs the slope can be looked at, and a rate that is made of it cannot."""
_STEPS = 200
_CLOSE = 1e-10
_NEAR = 1e-5
"""So near the end the loss is too flat to say which step is better; Newton's own are."""
_LEAST = 1e-9
_LARGEST = 700.0


class LongerWins(NamedTuple):
    """How often the longer answer won, of the decided pairs of unequal length; `p` is that this is chance."""

    rate: Rate
    p: float


class LengthControl(NamedTuple):
    """The fitted model over `n` pairs: `theta` is the advantage at equal length, `gamma` the slope.

    `rate` is what the player would win at equal length. It takes what is longer to be no better, so a player that wins
    because it says more is punished as well.
    """

    theta: float
    gamma: float
    rate: float
    n: int


def longer_wins(differences: Sequence[float], results: Sequence[float]) -> LongerWins | None:
    """From how much longer the player's answer is and each pair's result (1, one half, 0); None of no such pair."""
    found = [
        (result > HALF) == (difference > 0)
        for difference, result in zip(differences, results, strict=True)
        if difference and result != HALF
    ]
    share = rate(sum(found), len(found))
    return None if share is None else LongerWins(share, sign_p(share.part, share.of - share.part))


def length_control(differences: Sequence[float], results: Sequence[float], ridge: float = 1.0) -> LengthControl | None:
    """Fit the model; a result of one half is as likely a win as a loss. None of nothing, and where the fit has no end:
    without a ridge and with lengths that tell all wins from all losses.

    Where all lengths differ alike by nothing the rate is the plain one, and seen from the other side it is 1 - rate.
    """
    value = mean(results)
    if value is None:
        return None
    if value in (0.0, 1.0):  # θ has no bound there: the limit
        return LengthControl(math.inf if value else -math.inf, 0.0, value, len(results))
    spread = _deviation(differences)
    slopes = [math.tanh(difference / spread) if spread else 0.0 for difference in differences]
    fitted = _fit(slopes, results, ridge if any(slopes) else 1.0)
    return None if fitted is None else LengthControl(*fitted, _logistic(fitted[0]), len(results))


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample; 0 of a single value, and of values that do not differ."""
    return (standard_error(values) or 0.0) * math.sqrt(len(values))


def _fit(slopes: Sequence[float], results: Sequence[float], ridge: float) -> tuple[float, float] | None:
    """θ and γ by Newton's method, each step halved until the loss falls."""
    theta = gamma = 0.0
    for _ in range(_STEPS):
        chances = [_logistic(theta + gamma * slope) for slope in slopes]
        errors = [chance - result for chance, result in zip(chances, results, strict=True)]
        weights = [chance * (1.0 - chance) for chance in chances]
        down = (math.fsum(errors), math.fsum(map(_product, errors, slopes)) + ridge * gamma)
        a, b = math.fsum(weights), math.fsum(map(_product, weights, slopes))
        c = math.fsum(weight * slope * slope for weight, slope in zip(weights, slopes, strict=True)) + ridge
        determinant = a * c - b * b
        if determinant <= 0.0:
            return None
        step = ((c * down[0] - b * down[1]) / determinant, (a * down[1] - b * down[0]) / determinant)
        near = abs(step[0]) + abs(step[1])
        size = 1.0 if near < _NEAR else _shorten(slopes, results, ridge, (theta, gamma), step)
        theta, gamma = theta - size * step[0], gamma - size * step[1]
        if near < _CLOSE:
            return theta, gamma
    return None


def _shorten(
    slopes: Sequence[float],
    results: Sequence[float],
    ridge: float,
    at: tuple[float, float],
    step: tuple[float, float],
) -> float:
    """How much of a step to go."""
    size, before = 1.0, _loss(slopes, results, ridge, at)
    while size > _LEAST and _loss(slopes, results, ridge, (at[0] - size * step[0], at[1] - size * step[1])) > before:
        size /= 2.0
    return size


def _loss(slopes: Sequence[float], results: Sequence[float], ridge: float, at: tuple[float, float]) -> float:
    theta, gamma = at
    parts = []
    for slope, result in zip(slopes, results, strict=True):
        logit = theta + gamma * slope
        parts.append(math.log1p(math.exp(-abs(logit))) + max(logit, 0.0) - result * logit)
    return math.fsum(parts) + ridge * gamma * gamma / 2.0


def _product(one: float, other: float) -> float:
    return one * other


def _logistic(logit: float) -> float:
    if logit >= 0.0:
        return 1.0 / (1.0 + math.exp(-min(logit, _LARGEST)))
    grown = math.exp(max(logit, -_LARGEST))
    return grown / (1.0 + grown)
