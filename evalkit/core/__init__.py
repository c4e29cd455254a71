"""What every layer may use: types, ports, errors, digests, the plug-in registry. Imports nothing of evalkit."""
