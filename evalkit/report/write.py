"""From a run folder to `results.json`, `samples.parquet` and `report.md` in it."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from evalkit.core import runfolder
from evalkit.core.runfolder import RunRecord
from evalkit.fetch.cache import write_file
from evalkit.report import figures, findings, page
from evalkit.report.collect import Collector
from evalkit.report.diagnosed import Diagnoses
from evalkit.report.excerpts import Excerpts
from evalkit.report.folder import read_lock, read_rows, read_run
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
    collector, excerpts, diagnoses, watch = Collector(), Excerpts(), Diagnoses(lock), Watch(lock)
    with ParquetFile(folder / runfolder.PARQUET) as parquet:
        for row in read_rows(folder):
            collector.add(row)
            excerpts.add(row)
            diagnoses.add(row)
            watch.add(row)
            parquet.add(row)
    diagnosed = diagnoses.results()
    found = findings.compose(diagnosed, watch.raised(), environment())
    results = replace(collector.results(run), diagnoses=diagnosed, findings=found)
    write_file(folder / runfolder.RESULTS, encode(results))
    drawn = figures.draw_all(folder, diagnosed)
    report = render(page.build(run, lock, results, excerpts, drawn), run.template)
    write_file(folder / runfolder.REPORT, report.encode("utf-8", "backslashreplace"))
    return results
