"""`python -m cairn.issuance api | worker | migrate | openapi | erase-again`"""

import sys

from cairn.common.command import main
from cairn.issuance.app import issuance_app
from cairn.issuance.settings import IssuanceSettings
from cairn.issuance.worker import erase_again, run

sys.exit(main(IssuanceSettings, app=issuance_app, worker=run, more={"erase-again": erase_again}))
