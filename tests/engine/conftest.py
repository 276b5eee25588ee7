"""Runs of the engine's tests draw no plots; those of the fixture `trained` do."""

import pytest

from yolo.engine.train_log import RunFolder


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "plot", lambda folder: None)
