"""From a run folder to numbers, tables and pages. Reads nothing but the folder."""
