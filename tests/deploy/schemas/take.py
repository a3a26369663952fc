"""Make the schemas in this folder out of the operators' CustomResourceDefinitions: `python take.py CRD.yaml VERSION…`.

What only explains is left out, and what an API server would prune is refused. README.md says where the files are from.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

_KEPT = {
    *("type", "properties", "items", "required", "enum", "minimum", "maximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "additionalProperties"),
    *("exclusiveMinimum", "exclusiveMaximum", "oneOf", "anyOf", "allOf"),
}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON Schema, where a field that is not listed is an error."""
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: strict(each) for name, each in value.items()}
        elif key in {"items", "additionalProperties"} and isinstance(value, dict):
            made[key] = strict(value)
        elif key == "pattern":
            made[key] = value.replace("^(?i)", "(?i)^")  # where Python wants it
        elif key in _KEPT:
            made[key] = value
    for bound in ("Minimum", "Maximum"):
        # In OpenAPI 3.0 a flag beside the bound; in JSON Schema the bound itself.
        if made.get(f"exclusive{bound}") is True:
            made[f"exclusive{bound}"] = made.pop(bound.lower())
        elif f"exclusive{bound}" in made:
            del made[f"exclusive{bound}"]
    if schema.get("x-kubernetes-int-or-string"):
        made = {"type": ["integer", "string"]}
    if schema.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
    free = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if "properties" in made and not free:
        made["additionalProperties"] = False
    return made


def main(path: Path, versions: list[str]) -> None:
    for crd in yaml.safe_load_all(path.read_text()):
        group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
        for version in crd["spec"]["versions"]:
            if version["name"] not in versions:
                continue
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {"metadata": {"type": "object"}}
            schema["properties"].pop("status", None)
            name = f"{kind}.{group}.{version['name']}.json"
            (Path(__file__).parent / name).write_text(json.dumps(schema, separators=(",", ":")) + "\n")
            print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}  {name}")  # noqa: T201 - a line for the README


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
