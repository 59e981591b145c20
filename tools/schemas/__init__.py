"""What the JSON and YAML files of this package hold: JSON schemas, draft 2020-12."""
