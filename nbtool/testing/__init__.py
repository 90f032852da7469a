"""For tests of one's own, and for notebooks that look at what came out.

- `FakeEngine`: an engine that needs no model, no torch and no time.
- `judge`: what a picture of the embedded model shows. `nbtool.testing.scenes` paints such pictures.
"""

from nbtool.testing.fake import FakeEngine
from nbtool.testing.judging import judge

__all__ = ["FakeEngine", "judge"]
