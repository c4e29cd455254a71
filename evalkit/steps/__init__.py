"""The verbs of the language, one module each. A step knows ports, never an engine."""
