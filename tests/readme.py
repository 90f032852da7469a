"""What the README says of the parameters, from their table; `make readme` writes it there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from nbtool.recipes.parameters import ROWS

README = Path(__file__).parents[1] / "README.md"
SENTENCE = re.compile(r"The parameters are those of diffusers:(?:\s+`\w+`[,.])+")


def sentence():
    names = ", ".join(f"`{name}`" for name, row in ROWS.items() if not row.network)
    return textwrap.fill(f"The parameters are those of diffusers: {names}.", 95)


if __name__ == "__main__":
    README.write_text(SENTENCE.sub(sentence(), README.read_text("utf-8")), "utf-8")
