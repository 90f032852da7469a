"""`python -m nbtool.cli`."""

import sys

from nbtool.cli import main

sys.exit(main())
