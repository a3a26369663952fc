"""`python -m cairn.issuance api | worker | migrate | openapi`"""

import sys

from cairn.common.command import main
from cairn.issuance.app import issuance_app
from cairn.issuance.settings import IssuanceSettings
from cairn.issuance.worker import run

sys.exit(main(IssuanceSettings, app=issuance_app, worker=run))
