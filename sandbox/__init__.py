"""The worker inside the container. Standard library only, Python 3.9 and later; never imported by evalkit itself."""
