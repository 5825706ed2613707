"""Programs of npm that tests need: installed by their lock when first asked for, and kept in `.cache`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

import pytest

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "npm"
NPM = shutil.which("npm")
IN_CI = bool(os.environ.get("CI"))
"""There a program that cannot be had fails the test: nobody would notice that it was skipped."""
INSTALL_S = 170


def installed(name: str) -> Path:
    """A copy of the folder `name` beside this file, with the packages that it names. Skips the test where npm, or its
    registry, is out of reach."""
    files = sorted(path for path in (HERE / name).iterdir() if path.is_file())
    digest = hashlib.sha256(b"\0".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)).hexdigest()
    kept = CACHE / f"{name}-{digest[:16]}"
    if kept.exists():
        return kept
    if NPM is None:
        return _unavailable("npm is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    # Made elsewhere and moved, so that what is there is whole.
    made = Path(mkdtemp(dir=CACHE, prefix="."))
    try:
        for path in files:
            shutil.copy(path, made)
        done = subprocess.run(
            [NPM, "ci", "--ignore-scripts", "--loglevel=error"],
            cwd=made, capture_output=True, text=True, check=False, timeout=INSTALL_S,
        )  # fmt: skip
        if done.returncode != 0:
            return _unavailable(f"npm could not install {name}: {done.stderr[-500:]}")
        try:
            made.rename(kept)
        except OSError:
            assert kept.exists(), "another process was quicker, or nothing can be kept here"
        return kept
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _unavailable(reason: str) -> Path:
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
