"""Shared by all tests: small, quiet, offline."""

import os

import pytest
import torch

# before anything imports it: albumentations looks for updates over the network otherwise
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run side by side; more threads each would only fight for the cores."""
    torch.set_num_threads(1)
