"""Shared by all tests: small, quiet, offline."""

import os

import pytest
import torch
from hypothesis import settings

# before anything imports it: albumentations looks for updates over the network otherwise
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")


# A busy machine is no fault of the code; and what a CI run tests shall not depend on luck.
settings.register_profile("steady", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("steady")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run side by side; more threads each would only fight for the cores."""
    torch.set_num_threads(1)
