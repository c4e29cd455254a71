"""Statistics of evaluation: numbers in, numbers out, no evalkit types."""
