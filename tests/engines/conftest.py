"""What the tests of the local engine share."""

from __future__ import annotations

import pytest
from hubs import Together

from nbtool import models
from nbtool.engines.local import pipelines


@pytest.fixture
def together():
    return Together()


@pytest.fixture
def embedded():
    """The embedded model's pipeline."""
    return pipelines.load(models.find("shapes").folder, "cpu", "float32")
