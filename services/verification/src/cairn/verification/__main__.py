"""`python -m cairn.verification api | worker | migrate | openapi`"""

import sys

from cairn.common.command import main
from cairn.verification.app import verification_app
from cairn.verification.settings import VerificationSettings
from cairn.verification.worker import run

sys.exit(main(VerificationSettings, app=verification_app, worker=run))
