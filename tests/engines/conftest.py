"""What the tests of the local engine share."""

from __future__ import annotations

import pytest
from together import Together

from nbtool.engines.local import LocalEngine


@pytest.fixture
def together():
    return Together()


@pytest.fixture
def embedded():
    """The embedded model's pipeline."""
    return LocalEngine("shapes", device="cpu").placement.load(str).pipeline
