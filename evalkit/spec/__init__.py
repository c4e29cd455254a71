"""The language: YAML with positions, JSON Schema, diagnostics, the long form and its typed model."""
