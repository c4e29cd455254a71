"""The language: YAML with positions, JSON Schema, diagnostics, the long form and its typed model.

What other layers use:

- `load.load_spec(path, sets)` → `Loaded`, `load.load_task_file(path)` → `LoadedTask`, `load.check(path, sets)` → either
- `diagnostics.render(diagnostics, sources)` → the whole screen, `diagnostics.summary(diagnostics)` → its last line
- `schemas.schema_document(kind)` → the JSON Schema of a spec or a task, plug-ins included
- `catalog.find_document(path)`, `catalog.shipped_tasks()` → where documents are
- `model` → the typed values
"""
