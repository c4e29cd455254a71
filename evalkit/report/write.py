"""From a run folder to `results.json`, `samples.parquet` and `report.md` in it."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from evalkit.core import runfolder
from evalkit.core.runfolder import RunRecord
from evalkit.fetch.cache import write_file
from evalkit.report import arms, costs, expected, figures, findings, judged, page
from evalkit.report.collect import Collector, asked_models
from evalkit.report.diagnosed import Diagnoses
from evalkit.report.excerpts import Excerpts
from evalkit.report.folder import read_lock, read_rows, read_run, read_verdicts
from evalkit.report.render import environment, render
from evalkit.report.results import Results, encode
from evalkit.report.tables import ParquetFile
from evalkit.report.watch import Watch


def write(folder: Path, record: RunRecord | None = None) -> Results:
    """Read the run's rows once and write all three files and the figures, each whole or not at all.

    `record` is the run's record where `run.json` is not written yet.
    Raises DataError when the folder is not a run folder or a line of it cannot be read.
    """
    run, lock = record or read_run(folder), read_lock(folder)
    collector, excerpts = Collector(asked_models(lock)), Excerpts()
    diagnoses, watch = Diagnoses(lock), Watch(lock)
    candidates = arms.Arms() if run.template == arms.TEMPLATE else None
    with ParquetFile(folder / runfolder.PARQUET) as parquet:
        for row in read_rows(folder):
            collector.add(row)
            excerpts.add(row)
            diagnoses.add(row)
            watch.add(row)
            parquet.add(row)
            if candidates is not None:
                candidates.add(row)
    for verdict in read_verdicts(folder):
        diagnoses.hear(verdict)
    asks = bool(lock.tasks) or not lock.diagnoses
    diagnosed = diagnoses.results()
    found = findings.compose(diagnosed, watch.raised(), environment())
    results = collector.results(run, asks=asks)
    results = replace(
        results,
        diagnoses=diagnosed,
        findings=found,
        extra_passes=costs.extra_passes(lock, results.steps),
        expectations=expected.judge(lock, results.steps, diagnoses.contrasts(), diagnoses.duels),
    )
    write_file(folder / runfolder.RESULTS, encode(results))
    drawn = figures.draw_all(folder, diagnosed)
    shown = page.build(run, lock, results, excerpts, drawn)
    shown = replace(shown, judged=judged.build(diagnoses.duels, shown.diagnoses, diagnosed))
    if candidates is not None:
        shown = replace(shown, arms=arms.build(candidates, results))
    report = render(shown, run.template)
    write_file(folder / runfolder.REPORT, report.encode("utf-8", "backslashreplace"))
    return results
