"""Whole screens, 100 columns wide, as a user sees them."""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from evalkit import console
from evalkit.core.errors import EvalkitError, PrerequisiteError
from evalkit.core.ports import Rendered
from evalkit.core.price import Price
from evalkit.core.runfolder import RunRecord
from evalkit.core.types import Choice, Contribution, Message, Prompt, SampleRow, TestResult, Weighed
from evalkit.doctor import Check
from evalkit.plan import Foreseen, PlannedTask
from evalkit.plan.planned import PlannedJudging
from evalkit.report import numbers
from evalkit.report.collect import collect
from evalkit.report.folder import read_rows, read_run
from evalkit.report.write import write
from evalkit.sandboxes.garbage import Removed
from evalkit.spec.model import Budget
from evalkit.taskview import Fetched, Shown

Build = Callable[..., SampleRow]
Golden = Callable[[Path, str], None]
DATA = Path(__file__).resolve().parents[2] / "data"
SCREENS = DATA / "screens"


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every screen is 100 columns wide."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str], golden: Golden) -> Callable[..., None]:
    """Compares what is on stdout (or stderr) with a golden screen; the other stream must be empty."""

    def check(name: str, *, error: bool = False) -> None:
        out, err = capsys.readouterr()
        assert (out if error else err) == ""
        golden(SCREENS / f"{name}.txt", err if error else out)

    return check


class Step(Struct, frozen=True):
    name: str
    verb: str
    needs: tuple[str, ...]
    key: str
    requests: int
    cached: int
    programs_cached: int | None
    prompt_tokens: int
    max_completion_tokens: int
    tokens_exact: bool
    why: str
    tasks: tuple[PlannedTask, ...]
    references: int = 0
    references_cached: int | None = None
    continuations: int = 0
    judging: tuple[PlannedJudging, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()
    usd: float = 0.0
    unpriced: tuple[str, ...] = ()


class PricedSpec(Struct, frozen=True):
    prices: dict[str, Price] = {}
    budget: Budget = Budget()


class Plan(Struct, frozen=True):
    steps: tuple[Step, ...]
    spec: PricedSpec = PricedSpec()


def test_plan(screen: Callable[..., None]) -> None:
    """What is asked, what is in the store, why, and what it costs in tokens."""
    tasks = (
        PlannedTask("arithmetic", "arithmetic", "test", 50, 50, 50),
        PlannedTask("code", "code_basics", "test", 40, 120, 12),
    )
    bench = Step(
        name="bench", verb="bench", needs=(), key="1a2b3c4d5e6f7081", requests=170, cached=62, programs_cached=12,
        prompt_tokens=12345, max_completion_tokens=55296, tokens_exact=True, why="more answers are wanted of code",
        tasks=tasks, references=40, references_cached=3,
    )  # fmt: skip
    after = Step(
        name="after", verb="bench", needs=("bench", "adapter"), key="ffeeddccbbaa0011", requests=50, cached=0,
        programs_cached=None, prompt_tokens=900, max_completion_tokens=25600, tokens_exact=False,
        why="the model does not exist yet", tasks=tasks[:1],
    )  # fmt: skip
    console.show_plan(Plan((bench, after)))
    screen("plan")


def test_plan_of_a_route(screen: Callable[..., None]) -> None:
    """A line for each model; the second one's are what they may be at most."""
    tasks = (
        PlannedTask("arithmetic", "arithmetic", "test", 50, 250, 250, "cheap"),
        PlannedTask("arithmetic", "arithmetic", "test", 50, 50, 4, "strong", at_most=True),
    )
    step = Step(
        name="blend", verb="bench", needs=(), key="1a2b3c4d5e6f7081", requests=300, cached=254, programs_cached=None,
        prompt_tokens=1200, max_completion_tokens=25600, tokens_exact=False, why="cheap: every answer is stored",
        tasks=tasks,
    )  # fmt: skip
    console.show_plan(Plan((step,)))
    screen("plan_of_a_route")


@pytest.mark.parametrize(
    ("ceiling", "said"),
    [
        (0, "  1,200 prompt tokens, 1,172 continuations to weigh, no answer tokens\n"),
        (25600, "  1,200 prompt tokens, 1,172 continuations to weigh, at most 25,600 answer tokens\n"),
    ],
)
def test_plan_of_what_is_weighed(capsys: pytest.CaptureFixture[str], ceiling: int, said: str) -> None:
    """Continuations are counted; they cost no answer tokens."""
    step = Step(
        name="bench", verb="bench", needs=(), key="1a2b3c4d5e6f7081", requests=293, cached=0, programs_cached=None,
        prompt_tokens=1200, max_completion_tokens=ceiling, tokens_exact=True, why="first run of this step",
        tasks=(PlannedTask("arc", "arc_challenge", "test", 293, 293, 0),), continuations=1172,
    )  # fmt: skip
    console.show_plan(Plan((step,)))
    assert said in capsys.readouterr().out


def test_plan_of_what_costs_money(capsys: pytest.CaptureFixture[str]) -> None:
    """The most that it may cost, of whom that is not known, and the budget."""
    step = Step(
        name="bench", verb="bench", needs=(), key="1a2b3c4d5e6f7081", requests=10, cached=0, programs_cached=None,
        prompt_tokens=1200, max_completion_tokens=5120, tokens_exact=True, why="first run of this step",
        tasks=(PlannedTask("arc", "arc_challenge", "test", 10, 10, 0),), usd=1.25, unpriced=("base",),
    )  # fmt: skip
    console.show_plan(Plan((step, step), PricedSpec({"gpt4": Price(30.0, 60.0)}, Budget(usd=20.0))))
    said = "cost: at most $2.50, without base, of which it is not known before; the budget is $20.00\n"
    assert said in capsys.readouterr().out


def test_results(screen: Callable[..., None], tmp_path: Path) -> None:
    """The table of a finished run."""
    folder = shutil.copytree(DATA / "run_example", tmp_path / "run")
    console.show_results(write(folder), "runs/quickstart-example/report.md")
    screen("results")


def test_screen_and_report_show_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every score and interval on the screen stands in the report, in the same figures."""
    folder = shutil.copytree(DATA / "run_example", tmp_path / "run")
    step = write(folder).steps["bench"]
    console.show_results(write(folder))
    screen, report = capsys.readouterr().out, (folder / "report.md").read_text()
    for measure in (step.all, *step.categories.values()):
        for figure in (numbers.pct(measure.score), numbers.interval(measure.interval)):
            assert figure in screen
            assert f"| {figure} |" in report
    assert numbers.pct(step.macro.score) in screen


def test_judged_results(screen: Callable[..., None], tmp_path: Path) -> None:
    """What a judge said stands below the scores, and the gravest findings are serious."""
    runpy.run_path(str(DATA / "make_judging_example.py"))["write"](tmp_path)
    console.show_results(write(tmp_path))
    screen("results_judged")


def test_stamped_results(screen: Callable[..., None], row: Build) -> None:
    """A limited run with too many void answers says so below its numbers."""
    rows = [row(), row(id="j", outcome="void", text=None)]
    run = RunRecord(id="r", state="complete", started="", limit=2)
    console.show_results(collect(rows, run))
    screen("results_stamped")


def test_error(screen: Callable[..., None]) -> None:
    """Message and hint, on stderr."""
    error = PrerequisiteError("no Docker engine answers", hint="start it: evalkit sandbox up", where="sandbox")
    console.show_error(error)
    screen("error", error=True)


def test_error_without_hint(capsys: pytest.CaptureFixture[str]) -> None:
    """One line; text from elsewhere cannot drive the terminal."""
    console.show_error(EvalkitError("the server said \x1b[2J"))
    assert capsys.readouterr().err == "error: the server said ␛[2J\n"


def test_bug(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A bug names its log, or says that there is none."""
    console.show_bug(KeyError("x"), Path(".evalkit/bug.log"))
    console.show_bug(KeyError("x"), None)
    assert capsys.readouterr().err.splitlines() == [
        "bug: KeyError: 'x'",
        "  hint: this is a mistake in evalkit; please report it with .evalkit/bug.log",
        "bug: KeyError: 'x'",
        "  hint: this is a mistake in evalkit; the log could not be written here",
    ]


def test_diagnostics_are_not_touched(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns and carets stay where they are, however long the line; no markup is read."""
    text = f"a.yaml:3:5: error: unknown key '[b]x'\n   |\n31 |     {'x' * 200}: 1\n   |     ^^^ did you mean 'lr'?\n"
    console.show_diagnostics(text)
    console.show_diagnostics("")
    assert capsys.readouterr().err == text


def test_doctor(screen: Callable[..., None]) -> None:
    """What is there, what is missing and how to get it, what is optional."""

    console.show_doctor(
        [
            Check("python", True, "3.11.7", "evalkit needs Python 3.11 or newer"),
            Check("torch", True, "2.13.0"),
            Check("peft", False, "not installed", "pip install 'evalkit-spec[train]'", needed=False),
            Check("sandbox", False, "no Docker engine answers", "start it: evalkit sandbox up"),
        ]
    )
    screen("doctor")


def test_sample_of_a_program(screen: Callable[..., None]) -> None:
    """Prompt, answer, program, each test, and why it failed."""
    rows = {row.id: row for row in read_rows(DATA / "run_example")}
    console.show_sample(rows["is_even-0"])
    screen("sample")


def test_sample_void(screen: Callable[..., None], row: Build) -> None:
    """A void sample shows its reason; what is not there is not shown."""
    console.show_sample(row(outcome="void", text=None, reason="sandbox: the container went away"))
    screen("sample_void")


def test_sample_that_was_weighed(screen: Callable[..., None], row: Build) -> None:
    """Each option with its log-probability; there is no answer, and none is shown."""
    options = (
        Weighed(" in the sun", -12.34567, 4, False),
        Weighed(' "never"', -2.5, 3, True),
        Weighed(" at\nsea", -8.0),
    )
    console.show_sample(
        row(outcome="fail", text="", finish_reason="weighed", completion_tokens=None, effective=None, answer="B",
            rule="acc_norm", error_class="wrong_answer", reason="expected A: in the sun", likelihoods=options)
    )  # fmt: skip
    screen("sample_weighed")


def test_candidates_of_an_item(screen: Callable[..., None], row: Build) -> None:
    """All candidates in a table, the picked one marked; an item that was answered plainly has none."""
    given = {"typed": Contribution(5.0, 12.5)}
    rows = [
        row(sample=0, selected=False, completion="a" * 64, text_sha256="1" * 64, outcome="fail",
            error_class="wrong_answer", tests_passed=1, tests_total=3, choice=Choice("rubric", 0.25, 2, 1)),
        row(sample=1, completion="b" * 64, text_sha256="2" * 64, tests_passed=3, tests_total=3,
            choice=Choice("rubric", 0.4, 1, 1, given)),
        row(sample=2, selected=False, completion="c" * 64, text=None, outcome="void"),
        row(id="plain"),
    ]  # fmt: skip
    console.show_candidates(rows)
    screen("candidates")


def test_candidates_of_an_oracle_are_named_so(capsys: pytest.CaptureFixture[str], row: Build) -> None:
    console.show_candidates([row(choice=Choice("tests", 1.0, 1, 1))])
    assert "picked by oracle" in capsys.readouterr().out


def test_sample_with_escapes(capsys: pytest.CaptureFixture[str], row: Build) -> None:
    """Nothing that a model or its program wrote can drive the terminal or be read as markup."""
    evil = "\x1b]0;owned\x07[red]x[/red] :smile: \x9b2J\r\u202e\x00"
    tests = (TestResult(False, evil, evil),)
    console.show_sample(
        row(id=evil, text=evil, answer=f"{evil}!", stdout=evil, stderr=evil, reason=evil, tests=tests, rule=evil,
            task=evil, model=evil, outcome="fail", error_class=evil, exception=evil)
    )  # fmt: skip
    out = capsys.readouterr().out
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\r", "\u202e", "\x00"}
    assert out.count("[red]x[/red] :smile:") >= 8


def test_sample_of_a_rubric(capsys: pytest.CaptureFixture[str], row: Build) -> None:
    """What each criterion gave, and why not all of it."""
    criteria = {"short": Contribution(30.0, 30.0), "typed": Contribution(0.0, 12.5, "\x1bno types")}
    console.show_sample(row(outcome="score", score=30 / 42.5, criteria=criteria))
    out = capsys.readouterr().out
    assert "── criteria (points of the rubric)\n30 of 30  short\n0 of 12.5  typed: ␛no types\n" in out


def test_runs(screen: Callable[..., None]) -> None:
    """Every run with its state; a limited one says so."""
    example = read_run(DATA / "run_example")
    limited = msgspec.structs.replace(example, id="quickstart-2", state="interrupted", limit=4, seconds=None)
    console.show_runs([example, limited])
    screen("runs")


def test_no_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list says what would fill it."""
    console.show_runs([])
    assert capsys.readouterr().out == "no runs yet: evalkit run SPEC makes one\n"


def test_tasks(screen: Callable[..., None]) -> None:
    """The tasks that ship with evalkit: each split with its size and where it would come from."""
    known: dict[str, Any] = {"category": "code", "scorer": "code", "license": "MIT", "about": "Some."}
    splits = [
        {"split": "train", "rows": None, "source": "hub org/x, not fetched"},
        {"split": "test", "rows": 1319, "source": "file /data/x/test.jsonl.gz"},
    ]
    missing = [{"split": "test", "rows": 80, "source": "missing"}]
    console.show_tasks([{"task": "humaneval", "splits": splits, **known}, {"task": "x", "splits": missing, **known}])
    screen("tasks")


def test_fetched(screen: Callable[..., None]) -> None:
    """Where it is, or why it is nowhere."""
    console.show_fetched(
        [
            Fetched(
                "gsm8k", "test", 1319, "ab" * 32, "openai/gsm8k@740312add88f test.parquet", ("/cache/test.parquet",)
            ),
            Fetched("mt_bench", "test", problem="no data; tried:\n  - file x: there is none", hint="put it there"),
        ]
    )
    screen("fetched")


def test_prompt_without_a_model(screen: Callable[..., None]) -> None:
    """The messages as they are, a begun answer, later turns, and what is still to be said."""
    console.show_prompt(
        shown(prompt=Prompt((Message("user", "Add."), Message("assistant", "It is"))), followups=("Why?",))
    )
    screen("prompt")


def test_prompt_for_a_model(screen: Callable[..., None]) -> None:
    """As the model gets it, with tokens, digest, stops and examples."""
    rendered = Rendered("<user>Add.<bot>", 1234, "872be49dbb63" + "0" * 52)
    console.show_prompt(
        shown(model="m", rendered=rendered, shots=("a", "b"), stop=("\n\n", "```"), continuations=(" A", " B"))
    )
    screen("prompt_rendered")


def test_a_text_in_plain_form(screen: Callable[..., None]) -> None:
    """No template fills it in; the tokenizer may be absent."""
    console.show_prompt(shown(prompt=Prompt(text="1 + 1 =")))
    console.show_prompt(shown(prompt=Prompt(text="1 + 1 ="), model="m", rendered=Rendered("1 + 1 =", None, None)))
    screen("prompt_text")


def shown(**known: Any) -> Shown:
    values: dict[str, Any] = dict(
        task="sums", split="test", id="i7", number=7, of=1319, prompt=Prompt((Message("user", "Add."),)), followups=(),
        shots=(), continuations=(), max_tokens=64, stop=(), model=None, rendered=None,
    )  # fmt: skip
    return Shown(**values | known)


def test_sandbox_test(screen: Callable[..., None]) -> None:
    """A hostile program that got away stands out."""
    console.show_sandbox_test(
        [
            ("fork bomb", "memory", "memory"),
            ("many threads", "runtime_error or timeout", "timeout"),
            ("read /etc/shadow", "violation", "passed"),
        ]
    )
    screen("sandbox_test")


def test_sandbox_test_with_several_right_classes(capsys: pytest.CaptureFixture[str]) -> None:
    """Any of the expected classes is right."""
    console.show_sandbox_test([("ptrace", "violation or memory", "memory"), ("fork", "violation or memory", "passed")])
    assert ["ok", "BROKEN"] == [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]


def test_removed(screen: Callable[..., None]) -> None:
    """What was collected, by name, what stays and why, and one closing line."""
    console.show_removed(
        Removed(1, ("evalkit-sandbox:8a8560aabf4d", "evalkit-packages:6b324b7c707e"), ("x:1",), 147.26)
    )
    console.show_removed(Removed(0, (), (), None))
    screen("removed")


def test_json_is_plain(capsys: pytest.CaptureFixture[str], row: Build) -> None:
    """For other programs: JSON only, under the public names."""
    console.show_json([row(error_class="timeout", outcome="fail")])
    out = capsys.readouterr().out
    assert msgspec.json.decode(out)[0]["class"] == "timeout"


def test_colours_in_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal gets colours unless NO_COLOR is set; a pipe gets none."""

    def shown() -> str:
        console.show_error(EvalkitError("x"))
        return capsys.readouterr().err

    assert "\x1b" not in shown()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in shown()


def test_piped_tables_are_not_squeezed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], row: Build
) -> None:
    """Without a terminal and without COLUMNS a table has room."""
    monkeypatch.delenv("COLUMNS")
    rows = [row(category="a_category_with_a_rather_long_name_indeed")]
    console.show_results(collect(rows, RunRecord(id="r", state="complete", started="")))
    assert "a_category_with_a_rather_long_name_indeed" in capsys.readouterr().out


def test_names_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str], row: Build) -> None:
    """A spec from elsewhere may call its parts anything."""
    evil = "x\x1b[2J[red]y"
    run = RunRecord(id=evil, state="failed", started=evil, spec=evil, error=evil)
    results = collect([row(step=evil, category=evil, model=evil), row(step=evil, category="c")], run)
    console.show_results(results, evil)
    console.show_runs([run])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("x␛[2J[red]y") == 8


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            Foreseen("all", "improves: true", 18, True, 6, 6 / 18),
            "improves: true in all: with 18 items, fewer than 6 one-way flips (33.3 points) cannot reach p < 0.05",
        ),
        (
            Foreseen("c", "improves: true", 18, True, 6),
            "improves: true in c: with 18 items, fewer than 6 one-way flips cannot reach p < 0.05",
        ),
        (Foreseen("c", "worsens: true", 1, False, 6), "worsens: true in c: with 1 item no outcome can confirm it"),
        (
            Foreseen("c", "no_worse_than: 0.03", 50, True, pairs_needed=1687),
            "no_worse_than: 0.03 in c: with 50 items it will most likely be inconclusive; about 1,687 are needed where "
            "one item in ten differs",
        ),
    ],
)
def test_plan_of_an_expectation(capsys: pytest.CaptureFixture[str], one: Foreseen, said: str) -> None:
    """One line below the step: what so many items cannot show."""
    step = Step(
        name="verdict", verb="compare", needs=("one", "three"), key="1a2b3c4d5e6f7081", requests=0, cached=0,
        programs_cached=None, prompt_tokens=0, max_completion_tokens=0, tokens_exact=True, why="compares", tasks=(),
        foreseen=(one,),
    )  # fmt: skip
    console.show_plan(Plan((step,)))
    assert f"  expects {said}\n" in capsys.readouterr().out
