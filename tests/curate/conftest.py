"""The web server that the tests of downloads share."""

from collections.abc import Iterator

import pytest

from tests.curate.download_server import FileServer, file_server


@pytest.fixture(scope="package")
def running_server() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


@pytest.fixture
def server(running_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """The server without files, requests and misbehaviour of earlier tests."""
    monkeypatch.setenv("no_proxy", "*")
    running_server.reset()
    return running_server
