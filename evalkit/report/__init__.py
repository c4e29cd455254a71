"""From a run folder to tables, findings and pages."""
