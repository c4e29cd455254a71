"""The tables, figures and notes of what a `judge` step found."""

from __future__ import annotations

from collections.abc import Iterator

from evalkit.core.diagnosis import Column, DiagnosisTable, Figure, Series
from evalkit.core.types import Json
from evalkit.stats.agreement import Agreement
from evalkit.stats.length import ENOUGH
from evalkit.steps.diagnoses.duel_found import DuelFound
from evalkit.steps.diagnoses.facts import WHOLE, label
from evalkit.steps.diagnoses.standing import Overall, Standing
from evalkit.steps.diagnoses.trust import Truth

_Row = tuple[Json, ...]
_COUNTS = tuple(Column(name, "count") for name in ("pairs", "win", "loss", "tie", "inconsistent", "invalid", "void"))
_SCORE = (Column("score", "share"), Column("95 % interval", "interval"))
_ABOUT_VERDICTS = (
    "Score is (wins + half of ties and of inconsistent pairs) / (all of these); 50 % is parity. Inconsistent: the "
    "two orders, or several judges, do not agree. Invalid: no verdict can be read; void: an answer never came; neither "
    "is in the score. "
    "p is the exact sign test of wins against losses, Holm is p adjusted for all categories. Detectable: how far "
    "from 50 % a score has to lie to be shown with so many pairs."
)
_ABOUT_TRUTH = (
    "What the task's own scorer says of the same answers. p is McNemar's, of the items that one side alone solves. "
    "Of these pairs the judge named the right side, missed it (a tie, or inconsistent), or named the wrong one. "
    "Kappa is the agreement of the verdict with who is right, beyond chance; a judge that prefers one of two right "
    "answers lowers it."
)
_ABOUT_LENGTH = (
    "Characters of the answers. The longer answer wins: of decided pairs of unequal length. The slope is that of "
    "length in a logistic model with a penalty; the length-controlled score takes a longer answer to be no better "
    f"and is told of {ENOUGH} pairs and more."
)
_ABOUT_PLACE = (
    "Games that someone won, by where the winner stood. A flip is a pair that is judged otherwise in the other "
    "order; p is that pairs lean to the first and the second place equally often. With one order only, place cannot "
    "be told from worth."
)


def tables(found: DuelFound) -> Iterator[DiagnosisTable]:
    """All that have something to say."""
    yield _verdicts(found)
    if len(found.categories) > 1:
        yield _overall(found.overall)
    if found.truths:
        yield _truth(found)
    yield from _groups(found)
    yield _place(found)
    yield _length(found)
    if found.retests:
        rows = tuple((name, *_agreed(one)) for name, one in found.retests.items())
        about = "The same pairs asked once more: the share with the same verdict, and kappa beyond chance."
        yield DiagnosisTable("retest", "The judge with itself", (Column("judge"), *_AGREED), rows, about)
    if found.ratings:
        yield _ratings(found)
    yield _played(found)
    if found.alone:
        yield _judges(found)
        rows = tuple((one, other, *_agreed(agreed)) for (one, other), agreed in found.panel.items())
        about = "Pairs of which both have a verdict: the share on which they say the same, and kappa beyond chance."
        yield DiagnosisTable(
            "panel", "The judges with each other", (Column("judge"), Column("and"), *_AGREED), rows, about
        )


_AGREED = (
    Column("pairs", "count"),
    Column("same verdict", "share"),
    Column("95 % interval", "interval"),
    Column("kappa", "number"),
)


def _agreed(one: Agreement) -> _Row:
    return one.n, one.observed, tuple(one.interval), one.kappa


def _counts(one: Standing) -> _Row:
    return one.pairs, *one.tally, one.invalid, one.void


def _scored(one: Standing) -> _Row:
    return (one.value, tuple(one.score.interval)) if one.score is not None else (None, None)


def _verdicts(found: DuelFound) -> DiagnosisTable:
    columns = (
        Column("category"),
        *_COUNTS,
        *_SCORE,
        Column("win rate without ties", "share"),
        Column("its interval", "interval"),
        Column("win ratio", "number"),
        Column("p", "p"),
        Column("Holm", "p"),
        Column("detectable", "points"),
    )
    rows: list[_Row] = []
    for name, one in found.shown.items():
        rate = (one.win_rate.value, tuple(one.win_rate.interval)) if one.win_rate is not None else (None, None)
        tested = (one.win_ratio, one.p, one.holm if name in found.categories else None, one.detectable)
        rows.append((label(name), *_counts(one), *_scored(one), *rate, *tested))
    title = f"{found.player} against {found.opponent}"
    return DiagnosisTable("verdicts", title, columns, tuple(rows), _ABOUT_VERDICTS)


def _overall(whole: Overall) -> DiagnosisTable:
    pooled = whole.pooled
    rows: list[_Row] = [
        ("pooled: each pair alike", pooled.tally.n, *_scored(pooled)),
        (f"macro: each of {whole.categories} categories alike", pooled.tally.n, whole.macro, whole.macro_interval),
    ]
    if whole.without_small is not None:
        left = ", ".join(whole.small)
        rows.append((f"pooled without {left} (few pairs)", None, whole.without_small, None))
    columns = (Column("overall"), Column("pairs in it", "count"), *_SCORE)
    about = "Added up from the pairs themselves. Which of the means is meant has to be said with the number."
    return DiagnosisTable("overall", "All categories", columns, tuple(rows), about)


def _truth(found: DuelFound) -> DiagnosisTable:
    columns = (
        Column("category"),
        *(Column(name, "count") for name in ("verifiable", f"{found.player} right", f"{found.opponent} right")),
        *(Column(f"only {name}", "count") for name in (found.player, found.opponent)),
        Column("p", "p"),
        *(Column(name, "count") for name in ("named right", "missed", "named wrong", "wins of a wrong answer")),
        Column("kappa", "number"),
    )
    rows: list[_Row] = []
    for name, one in found.truths.items():
        only = (one.counts["only player right"], one.counts["only opponent right"])
        kappa = one.agreement.kappa if one.agreement is not None else None
        judged = (one.named, one.missed, one.wrong, one.false_wins)
        rows.append((label(name), one.n, one.player, one.opponent, *only, one.p, *judged, kappa))
    return DiagnosisTable("truth", "The verdicts and who is right", columns, tuple(rows), _ABOUT_TRUTH)


def _place(found: DuelFound) -> DiagnosisTable:
    columns = (
        Column("judge"),
        *(Column(name, "count") for name in ("first won", "second won", "ties")),
        Column("first-shown wins", "share"),
        Column("95 % interval", "interval"),
        *(Column(name, "count") for name in ("pairs in both orders", "flips")),
        Column("flip rate", "share"),
        Column("p", "p"),
    )
    rows: list[_Row] = []
    for name, one in found.places.items():
        share = (one.rate.value, tuple(one.rate.interval)) if one.rate is not None else (None, None)
        flips = one.flip_rate.value if one.flip_rate is not None else None
        rows.append((name, one.first, one.second, one.ties, *share, one.pairs, one.flips, flips, one.p))
    return DiagnosisTable("position", "Does the place decide?", columns, tuple(rows), _ABOUT_PLACE)


def _length(found: DuelFound) -> DiagnosisTable:
    columns = (
        Column("category"),
        Column(f"{found.player}: characters", "number"),
        Column(f"{found.opponent}: characters", "number"),
        Column("decided, unequal", "count"),
        Column("longer wins", "share"),
        Column("95 % interval", "interval"),
        Column("p", "p"),
        Column("slope", "number"),
        Column("length-controlled score", "share"),
    )
    rows: list[_Row] = []
    for name, one in found.lengths.items():
        known: _Row = (0, None, None, None)
        if one.longer is not None:
            share = one.longer.rate
            known = (share.of, share.value, tuple(share.interval), one.longer.p)
        slope = one.controlled.gamma if one.controlled is not None else None
        rows.append((label(name), one.player, one.opponent, *known, slope, one.rate))
    return DiagnosisTable("length", "Does the length decide?", columns, tuple(rows), _ABOUT_LENGTH)


def _ratings(found: DuelFound) -> DiagnosisTable:
    columns = (
        Column("judge"),
        Column("criterion"),
        Column("games", "count"),
        *(Column(name, "number") for name in (found.player, found.opponent, "difference")),
    )
    rows: list[_Row] = []
    for judge, given in found.ratings.items():
        for name, one in given.criteria.items():
            mine, other = one.player / one.games, one.opponent / one.games
            rows.append((judge, name, one.games, mine, other, mine - other))
    about = "Means over the games in which the judge rated both answers. A rating is its opinion, like its verdict."
    return DiagnosisTable("ratings", "By criterion", columns, tuple(rows), about)


def _groups(found: DuelFound) -> Iterator[DiagnosisTable]:
    columns = (Column("value"), *_COUNTS, *_SCORE, Column("p", "p"))
    for field, values in found.groups.items():
        rows = tuple((value, *_counts(one), *_scored(one), one.p) for value, one in values.items())
        about = "Each p stands alone: the smallest of several is smaller than it looks."
        yield DiagnosisTable(f"by {field}", f"By {field}", columns, rows, about)


def _played(found: DuelFound) -> DiagnosisTable:
    columns = (
        Column("judge"),
        *(
            Column(name, "count")
            for name in ("games", "of these again", "unreadable", "prompt tokens", "answer tokens")
        ),
        Column("time", "seconds"),
        Column("USD", "usd"),
    )
    rows = tuple(
        (name, one.games, one.again, one.unread, one.prompt_tokens, one.tokens, one.seconds, one.usd)
        for name, one in found.played.items()
    )
    about = (
        "What was asked of each judge. An answer that is stored was paid once; a dash is an amount that is not known."
    )
    return DiagnosisTable("played", "What judging took", columns, rows, about)


def _judges(found: DuelFound) -> DiagnosisTable:
    truths = (Column("named right", "count"), Column("missed", "count"), Column("named wrong", "count"))
    columns = (
        Column("judge"),
        Column("model"),
        *_COUNTS,
        *_SCORE,
        Column("p", "p"),
        *truths,
        Column("kappa", "number"),
    )
    lines = [(name, found.judges[name], *both) for name, both in found.alone.items()]
    known = found.truths.get(WHOLE) or next(iter(found.truths.values()), None)
    lines.append(("majority", "", found.overall.pooled, known))
    rows = tuple(
        (name, model, *_counts(one), *_scored(one), one.p, *_named(truth)) for name, model, one, truth in lines
    )
    about = (
        "Each judge by itself, and what more than half of them say; a pair without such a majority is inconsistent. "
        "The last columns are about pairs in which one side alone is right, and kappa is that with the tasks' own "
        "scorers."
    )
    return DiagnosisTable("judges", "Judge by judge", columns, rows, about)


def _named(truth: Truth | None) -> _Row:
    if truth is None:
        return None, None, None, None
    kappa = truth.agreement.kappa if truth.agreement is not None else None
    return truth.named, truth.missed, truth.wrong, kappa


def figures(found: DuelFound) -> Iterator[Figure]:
    """The scores with their intervals."""
    known = {name: one.score for name, one in found.shown.items() if one.score is not None}
    if not known:
        return
    series = Series(
        name="score",
        x=tuple(float(place) for place in range(len(known))),
        y=tuple(one.value for one in known.values()),
        low=tuple(one.interval.low for one in known.values()),
        high=tuple(one.interval.high for one in known.values()),
    )
    yield Figure(
        name="scores",
        kind="points",
        title=f"{found.player} against {found.opponent}: score with 95 % interval, 50 % is parity",
        x_label="category",
        y_label="score",
        series=(series,),
        ticks=tuple(map(label, known)),
        percent=("y",),
    )


def notes(found: DuelFound, unasked: int) -> Iterator[str]:
    """What is not plain from the tables. Of the pairs `unasked` have equal texts."""
    whole = found.overall.pooled
    if unasked:
        yield f"{unasked} of the ties have the same text on both sides: no judge was asked."
    if not whole.tally.n:
        yield "No pair has a verdict: there is no score."
    if whole.bounds is not None:
        low, high = (f"{100.0 * end:.1f} %" for end in whole.bounds)
        yield f"If every invalid pair were lost the score would be {low}, if every one were won {high}."
    if whole.items < whole.tally.n:
        yield (
            f"{whole.tally.n} pairs are about {whole.items} items: the score is over the means of items, and p over "
            f"items with more wins than losses ({whole.won}) and the other way round ({whole.lost})."
        )
    if all(one.pairs == 0 for one in found.places.values()):
        yield "Each pair was judged in one order only: how far the place decides cannot be known."
    if not found.truths:
        yield "Nothing in this step can be verified: no task's own scorer says of both answers whether they are right."
