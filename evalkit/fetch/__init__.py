"""Files from outside: package index, model hub, and the cache folders they land in."""
