"""`python -m cairn.onebox`: start everything, play the story, serve. `python -m cairn.onebox clean` removes the data.
`python -m cairn.onebox story ADDRESS KEY` plays the story on a Cairn that runs elsewhere, such as one of Docker or
Kubernetes: ADDRESS is its gateway's, KEY the file of the operator's key.
`python -m cairn.onebox status [ADDRESS | namespace/NAME]` shows how a running system does.
`python -m cairn.onebox letters [ADDRESS KEY] [replay]` shows dead letters and stuck awards, and tries them again.
`python -m cairn.onebox replay` rebuilds pathways from the log of the onebox that runs here.

Environment: `CAIRN_PORT` (8080), `CAIRN_DATA` (`.cairn` in the current folder), `STORY=0` to serve only,
`CAIRN_STORY_LEARNERS` (240); `CAIRN_BUS=kafka` with `CAIRN_KAFKA_BOOTSTRAP_SERVERS` to use a Kafka of one's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from rich.console import Console

from cairn.onebox import letters
from cairn.onebox.home import AlreadyRunning, Home, Unusable
from cairn.onebox.layout import kafka_of
from cairn.onebox.run import NothingRuns, Options, command_beside, run, tokens_of
from cairn.onebox.status import NothingToSee, show, told
from cairn.onebox.story import Access, StoryFailed, play
from cairn.onebox.story.show import WIDTH


def main(arguments: list[str]) -> int:
    folder = Path(os.environ.get("CAIRN_DATA", ".cairn"))
    try:
        match arguments:
            case []:
                return asyncio.run(run(_options(folder), _console()))
            case ["clean"]:
                Home(folder).remove()
                return 0
            case ["story", address, key]:
                _story(folder, address.rstrip("/"), Path(key))
                return 0
            case ["replay"]:
                return command_beside(folder, kafka_of(os.environ), "pathways", "replay")
            case ["letters", *where, "replay"] if len(where) in {0, 2}:
                return 1 if _letters(folder, where, replay=True) else 0
            case ["letters", *where] if len(where) in {0, 2}:
                _letters(folder, where, replay=False)
                return 0
            case ["status", *where] if len(where) < 2:
                asyncio.run(show(where[0] if where else None, folder, _console()))
                return 0
            case _:
                sys.stderr.write(f"{__doc__}\n")
                return 2
    except (AlreadyRunning, NothingRuns, NothingToSee, StoryFailed, Unusable) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _console() -> Console:
    # A file or a pipe has no width; rich would take it for 80 columns.
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def _story(folder: Path, address: str, key: Path) -> None:
    """Raises StoryFailed, and SystemExit where the key cannot be read."""
    tokens = tokens_of(_key(key))
    folder.mkdir(exist_ok=True)
    journal = folder / f"story-{quote(address, safe='')}.json"
    asyncio.run(play(Access(address, tokens), _learners(), _console(), journal))


def _letters(folder: Path, where: list[str], *, replay: bool) -> int:
    """How many are left. Raises NothingToSee and StoryFailed, and SystemExit where the key cannot be read."""
    address, key = where or (told(folder)["gateway"], folder / "auth-key.json")
    return asyncio.run(letters.show(str(address).rstrip("/"), _key(Path(key)), _console(), replay=replay))


def _key(key: Path) -> OKPKey:
    """Raises SystemExit, with one line that says which file it is."""
    try:
        return OKPKey.import_key(json.loads(key.read_text("utf-8")))
    except FileNotFoundError:
        raise SystemExit(
            f"{key} is not there. KEY names the key that signs access tokens: .cairn/auth-key.json of `make run`,"
            " operator-key.json of `make compose`"
        ) from None
    except (OSError, ValueError, TypeError, JoseError) as error:
        raise SystemExit(f"{key} is no operator's key: {error}") from None


def _learners() -> int:
    return _number("CAIRN_STORY_LEARNERS", 240, range(10, 10_001))


_KNOWN: Final = re.compile(
    r"CAIRN_(DATA|PORT|STORY_LEARNERS|BUS|TLS|TLS_CERTIFICATE|TLS_KEY|RESOURCES|FETCH_CA_FILE|PUBLIC_URL|LOG_LEVEL"
    r"|OTLP_ENDPOINT|INTAKE_BACKLOG|KAFKA_(BOOTSTRAP_SERVERS|TOPIC_PREFIX|PASSWORDS|REPLICATION))"
)


def _options(folder: Path) -> Options:
    """Raises SystemExit, with one line, for a setting that cannot be."""
    for name in sorted(name for name in os.environ if name.startswith("CAIRN_") and not _KNOWN.fullmatch(name)):
        sys.stderr.write(f"{name} means nothing here: dev/onebox/README.md lists the settings\n")
    if (bus := os.environ.get("CAIRN_BUS", "postgres")) not in {"postgres", "kafka"}:
        raise SystemExit(f"CAIRN_BUS must be postgres or kafka, not {bus!r}")
    learners = _learners()
    plays = os.environ.get("STORY", "1") not in {"0", "no", "off", "false"}
    return Options(
        folder,
        port=_number("CAIRN_PORT", 8080, range(1, 65_533)),
        learners=learners if plays else 0,
        kafka=kafka_of(os.environ),
    )


def _number(name: str, default: int, allowed: range) -> int:
    """Raises SystemExit, with one line that says what is allowed."""
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) in allowed):
        raise SystemExit(f"{name} must be a number from {allowed[0]} to {allowed[-1]}, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
