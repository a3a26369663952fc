"""`python -m cairn.pathways api | worker | migrate | openapi | replay | catch-up | state | progress | verify`"""

import sys

from cairn.common.command import main
from cairn.pathways.app import pathways_app
from cairn.pathways.settings import PathwaysSettings
from cairn.pathways.worker import catch_up, progress, replay, run, state, verify

sys.exit(
    main(
        PathwaysSettings,
        app=pathways_app,
        worker=run,
        more={"replay": replay, "catch-up": catch_up, "state": state, "progress": progress, "verify": verify},
    )
)
