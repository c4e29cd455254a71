"""What is raised of a step without being asked for."""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core.diagnosis import Raised
from evalkit.core.digest import digest_text
from evalkit.core.runfolder import Lock, TaskLock
from evalkit.core.selection import Select
from evalkit.core.types import SampleRow, SamplingParams
from evalkit.report.watch import Watch

Build = Callable[..., SampleRow]
WARM = SamplingParams(temperature=0.8)


def raised(rows: list[SampleRow], lock: Lock | None = None) -> dict[str, list[Raised]]:
    watch = Watch(lock or Lock())
    for row in rows:
        watch.add(row)
    return watch.raised()


def answers(row: Build, step: str, item: str, texts: str, effective: SamplingParams | None = WARM) -> list[SampleRow]:
    return [
        row(step=step, id=item, sample=index, text=text, text_sha256=digest_text(text), effective=effective)
        for index, text in enumerate(texts)
    ]


def lock(**sampling: SamplingParams) -> Lock:
    return Lock(
        tasks=tuple(
            TaskLock(
                step=step, category="c", task="t", split="test", origin="", sha256="", items=(), model="m", sampling=way
            )
            for step, way in sampling.items()
        )
    )


def test_identical_candidates(row: Build) -> None:
    """Two of three items, with temperature and names; one of three is chance."""
    rows = answers(row, "s", "a", "xxx") + answers(row, "s", "b", "yy") + answers(row, "s", "c", "pq")
    values = {"identical": 2, "items": 3, "answers": 3, "temperature": 0.8}
    assert raised(rows) == {"s": [Raised("identical_candidates", values, ("s/a", "s/b"), 2)]}
    assert raised(rows[3:]) == {"s": []}


def test_greedy_answers_are_the_same_by_right(row: Build) -> None:
    """At temperature 0 nothing is drawn; single answers have nothing to equal."""
    greedy = SamplingParams()
    assert raised(answers(row, "s", "a", "xx", greedy) + answers(row, "s", "b", "xx", greedy)) == {"s": []}
    assert raised(answers(row, "s", "a", "x") + answers(row, "s", "b", "x")) == {"s": []}


def test_recorded_answers_have_an_unknown_temperature(row: Build) -> None:
    """They are raised as well, and the temperature is None."""
    [found] = raised(answers(row, "s", "a", "xx", None) + answers(row, "s", "b", "yy", None))["s"]
    assert found.values["temperature"] is None


def test_arms_that_differ_in_nothing_but_their_settings(row: Build) -> None:
    """Two temperatures and equal texts: the setting never arrived. The order of the items does not matter."""
    first = answers(row, "one", "a", "x") + answers(row, "one", "b", "y")
    second = answers(row, "two", "b", "y") + answers(row, "two", "a", "x")
    apart = lock(one=SamplingParams(temperature=0.5), two=SamplingParams(temperature=0.8))
    assert raised(first + second, apart) == {
        "one": [],
        "two": [Raised("identical_arms", {"other": "one", "answers": 2})],
    }
    other = answers(row, "two", "b", "y") + answers(row, "two", "a", "z")
    assert raised(first + other, apart) == {"one": [], "two": []}


def test_the_same_question_twice_has_the_same_answer(row: Build) -> None:
    """Two greedy steps with other seeds ask the same: nothing is wrong with equal answers."""
    rows = answers(row, "one", "a", "x") + answers(row, "two", "a", "x")
    assert raised(rows, lock(one=SamplingParams(seed=1), two=SamplingParams(seed=2)))["two"] == []


def test_only_answers_that_count_are_compared(row: Build) -> None:
    """Two selectors over the same candidates that pick otherwise are two arms; that pick alike are one."""

    def picked(step: str, place: int) -> list[SampleRow]:
        return [
            row(step=step, id="a", sample=n, text=text, text_sha256=digest_text(text), selected=n == place)
            for n, text in enumerate("pq")
        ]

    way = TaskLock(step="one", category="c", task="t", split="test", origin="", sha256="", items=(), samples=2)
    both = Lock(tasks=(way, TaskLock(**{**_fields(way), "step": "two", "select": Select("majority")})))
    assert raised(picked("one", 0) + picked("two", 1), both)["two"] == []
    assert [one.code for one in raised(picked("one", 1) + picked("two", 1), both)["two"]] == ["identical_arms"]


def _fields(lock: TaskLock) -> dict[str, object]:
    return {name: getattr(lock, name) for name in lock.__struct_fields__}


def test_a_step_with_missing_answers_is_compared_with_none(row: Build) -> None:
    """What never came could have been different."""
    rows = answers(row, "one", "a", "x") + answers(row, "two", "a", "x")
    rows.append(row(step="two", id="b", text=None, outcome="void"))
    apart = lock(one=SamplingParams(), two=WARM)
    assert raised(rows, apart) == {"one": [], "two": []}
