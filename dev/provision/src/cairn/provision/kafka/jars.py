"""Apache Kafka's jars: fetched once a user, each held to the sha256 in `jars.lock`, at every start."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

VERSION: Final = "4.4.0"
_COORDINATES: Final = (("org.apache.kafka", "kafka_2.13", VERSION), ("org.slf4j", "slf4j-simple", "1.7.36"))


class KafkaError(RuntimeError):
    """Kafka could not be fetched or started. The message says what it said, and what to do."""


def jars() -> Path:
    """A folder with exactly the locked jars, every one verified. Raises KafkaError."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cairn"
    folder = home / f"kafka-{VERSION}"
    locked = _locked()
    if folder.exists() and not amiss(folder, locked):
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix="fetching-") as scratch:
        fetched = Path(scratch) / "jars"
        fetched.mkdir()
        _fetch(fetched, Path(scratch))
        if wrong := amiss(fetched, locked):
            raise KafkaError(f"Kafka's jars are not those in jars.lock: {', '.join(wrong)}")
        # Where another process was as fast, its folder is as good as ours.
        shutil.rmtree(folder, ignore_errors=True)
        try:
            fetched.rename(folder)
        except OSError:
            if amiss(folder, locked):
                raise
    return folder


def amiss(folder: Path, locked: Mapping[str, str]) -> list[str]:
    """What is missing from `folder`, what is changed in it, and what should not be there."""
    found = {path.name: path for path in folder.iterdir()}
    return [
        *(f"{name} is missing" for name in locked.keys() - found.keys()),
        *(f"{name} is not locked" for name in found.keys() - locked.keys()),
        *(f"{name} differs" for name in locked.keys() & found.keys() if _sha256(found[name]) != locked[name]),
    ]


def _locked() -> dict[str, str]:
    lines = (files("cairn.provision.kafka") / "jars.lock").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def _sha256(path: Path) -> str:
    with path.open("rb") as jar:
        return hashlib.file_digest(jar, "sha256").hexdigest()


def _fetch(folder: Path, scratch: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn:
        _fetch_by_maven(mvn, folder, scratch)
    else:
        _fetch_by_jgo(folder)


def _fetch_by_maven(mvn: str, folder: Path, scratch: Path) -> None:
    wanted = "".join(
        f"<dependency><groupId>{escape(group)}</groupId><artifactId>{escape(name)}</artifactId>"
        f"<version>{escape(version)}</version></dependency>"
        for group, name, version in _COORDINATES
    )
    pom = scratch / "pom.xml"
    pom.write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>cairn</groupId><artifactId>kafka-jars</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>{wanted}</dependencies></project>"
    )
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    done = subprocess.run([mvn, "-q", "-B", "-f", pom, *goal], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise KafkaError(f"mvn could not fetch Kafka:\n{(done.stdout + done.stderr).strip()[-2000:]}")


def _fetch_by_jgo(folder: Path) -> None:
    try:
        import jgo
    except ModuleNotFoundError:
        raise KafkaError("neither `mvn` nor the package jgo is here: `make install` installs jgo") from None
    # Not `build`, which would look for a Java of its own.
    for artifact in jgo.resolve("+".join(":".join(coordinates) for coordinates in _COORDINATES)):
        jar = artifact.resolve()
        shutil.copy(jar, folder / jar.name)
