"""The words with which the builder writes what Open Badges has no field for, and by which `read_facts` knows it again.

Each European element is an alignment: `targetType` says which, `targetUrl` where its meaning is defined, `targetCode`
its value. So it is signed, every Open Badges verifier accepts it, and a reader who does not know it sees a name.
"""

from __future__ import annotations

from typing import Final

OB_CONTEXT: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
CLR_CONTEXT: Final = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"
OB_EXTENSIONS: Final = "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"

ELM: Final = "http://data.europa.eu/snb/model/elm/"
EQF: Final = "http://data.europa.eu/snb/eqf/"
ELM_FRAMEWORK: Final = "European Learning Model"

LEARNING_OUTCOME: Final = "ext:elm.learningOutcome"
WORKLOAD: Final = "ext:elm.volumeOfLearning"
CREDIT_POINT: Final = "ext:elm.creditPoint"
LEVEL: Final = "ext:elm.level"
ASSESSMENT_TYPE: Final = "ext:elm.assessmentType"
SUPERVISION: Final = "ext:elm.assessmentSupervision"
IDENTITY: Final = "ext:elm.identityVerification"
PARTICIPATION: Final = "ext:elm.mode"
QUALITY: Final = "ext:elm.accreditation"
PREREQUISITES: Final = "ext:elm.entryRequirement"
STACKABILITY: Final = "ext:elm.stackability"

COMPONENT_GENRE: Final = "component-credential"
AUDIT_GENRE: Final = "qualification-audit"
ISSUED_BY: Final = "ext:cairn.issuer"
FRAMEWORK: Final = "ext:cairn.framework"
CREDENTIAL: Final = "ceterms:Credential"
COMPETENCY: Final = "ceasn:Competency"
