"""The results file's JSON Schema, against which the tests hold what real runs write."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA_FILE = Path(__file__).parents[1] / "docs/results.schema.json"
VALIDATOR = Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))


def loaded(text: str) -> dict[str, Any]:
    """Return what a results file holds. Fails unless it is as the schema says."""
    data: dict[str, Any] = json.loads(text)
    errors = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(data)]
    assert not errors, "\n".join(errors)
    return data
