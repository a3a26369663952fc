"""checkov, which looks manifests over for what is known to be unsafe, in an environment of its own.

It cannot share ours: it wants older versions of what pytest wants newer. `checkov.lock` holds it and all that it needs:
`echo checkov | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate
--no-header - -o checkov.lock`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path


class CheckovError(RuntimeError):
    """checkov could not be installed. The message says what uv said."""


def checkov() -> Path:
    """The program, installed once a user for each content of the lock. Raises CheckovError."""
    with as_file(files("cairn.provision") / "checkov.lock") as lock:
        version = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cairn"
        folder = home / f"checkov-{version}-{sys.version_info.major}.{sys.version_info.minor}"
        if not folder.exists():
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home, prefix="installing-") as scratch:
                made = Path(scratch) / "checkov"
                # Relocatable, so that it is seen whole or not at all under its own name.
                _uv("venv", "--relocatable", "--python", sys.executable, made)
                _uv("pip", "install", "--python", made / "bin/python", "--require-hashes", "-r", lock)
                try:
                    made.rename(folder)
                except OSError:
                    if not folder.exists():  # else another process was as fast
                        raise
    return folder / "bin/checkov"


def _uv(*words: str | Path) -> None:
    uv = shutil.which("uv", path=Path(sys.executable).parent) or "uv"
    done = subprocess.run([uv, "--quiet", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CheckovError(f"checkov could not be installed:\n{done.stderr.strip()[-2000:]}")
