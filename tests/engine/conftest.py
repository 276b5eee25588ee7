"""Plots take longer than the small runs that they belong to: most tests do without."""

from collections.abc import Iterator

import pytest

from yolo.engine.train_log import RunFolder


@pytest.fixture(autouse=True)
def _no_plots_of_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings do not draw their history, except those of fixtures for a whole module."""
    monkeypatch.setattr(RunFolder, "plot", lambda folder, history: None)


@pytest.fixture(scope="module")
def no_plots() -> Iterator[None]:
    """Reports are pages and tables alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yolo.report.report.write_plots", lambda folder, analysis: None)
        yield
