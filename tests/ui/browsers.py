"""A Chromium that is installed, or gets installed where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
VARIABLE = "NBTOOL_CHROMIUM"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)


def find() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)


def find_or_install() -> str:
    """The path of a Chromium; on Debian and Ubuntu, as root, it is installed if need be.

    Raises:
        RuntimeError: There is none; the message says how to get one.
    """
    if found := find():
        return found
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *command], check=False, env=environment, **quiet)
        if found := find():
            return found
    raise RuntimeError(
        "the tests in a browser need Chromium or Chrome; install one (Debian: apt-get install "
        f"chromium, macOS: brew install chromium) or name it in {VARIABLE}"
    )
