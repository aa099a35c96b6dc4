"""The page of benchmarks is written from parts, and parts can be measured again alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import report

REPOSITORY = Path(__file__).parents[2]


def test_each_benchmark_is_a_module_and_has_a_title_of_its_own() -> None:
    for benchmark in report.BENCHMARKS:
        assert (REPOSITORY / "tests" / "benchmarks" / f"{benchmark.name}.py").exists()
    assert len({benchmark.title for benchmark in report.BENCHMARKS}) == len(report.BENCHMARKS)


def test_a_page_can_be_read_back() -> None:
    sections = {b.title: f"## {b.title}\n\nfigures of {b.name}\n" for b in report.BENCHMARKS[:3]}
    page = report.written(sections, ["- a machine"])
    assert {title: text.strip() for title, text in report.sections_of(page).items()} == {
        title: text.strip() for title, text in sections.items()
    }
    assert report.written(report.sections_of(page), ["- a machine"]) == page


def test_a_benchmark_that_fails_ends_the_run_and_shows_why() -> None:
    with pytest.raises(SystemExit, match=r"no_such_module failed:[\s\S]*No module named"):
        report.measured(report.Benchmark("no_such_module", "Nothing", "Nothing"))


def test_parts_of_another_machine_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(report.written({}, ["- 1000 cores of another machine"]))
    monkeypatch.setattr("sys.argv", ["report", "--only", "icons", "--out", str(page)])
    with pytest.raises(SystemExit, match="of another machine or other versions; run all"):
        report.main()


def test_the_page_of_the_documentation_is_of_this_list() -> None:
    titles = {benchmark.title for benchmark in report.BENCHMARKS}
    assert set(report.sections_of(report.PAGE.read_text("utf-8"))) == titles
