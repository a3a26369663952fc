"""Python imports this at the start of every process of a system under test, because its folder is on PYTHONPATH.

A process of a part that is to run another build becomes that build's Python, with the same words: so the older
`make run`, which starts each part that has ended again, starts it as the build that it is to be.
"""

import json
import os
import sys
from pathlib import Path


def wanted() -> str:
    """The Python of the build: what this process was told, or else what is noted for its part, such as
    `issuance-worker` for `python -m cairn.issuance worker`."""
    if told := os.environ.get("UPGRADE_PYTHON"):
        return told
    words = sys.orig_argv
    module, *rest = words[words.index("-m") + 1 :] if "-m" in words else [""]
    noted = json.loads(Path(os.environ["UPGRADE_BUILDS"]).read_text())
    return noted.get("-".join([module.removeprefix("cairn."), *rest]), sys.executable)


if "UPGRADE_BUILDS" in os.environ and (python := wanted()) != sys.executable:
    os.execv(python, [python, *sys.orig_argv[1:]])
