"""`python -m cairn.pathways api | worker | migrate | openapi | replay | state | progress | verify`"""

import sys

from cairn.common.command import main
from cairn.pathways.app import pathways_app
from cairn.pathways.settings import PathwaysSettings
from cairn.pathways.worker import progress, replay, run, state, verify

sys.exit(
    main(
        PathwaysSettings,
        app=pathways_app,
        worker=run,
        more={"replay": replay, "state": state, "progress": progress, "verify": verify},
    )
)
