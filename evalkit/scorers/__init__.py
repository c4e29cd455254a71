"""What turns an answer into a score. Registered by the name that task files use."""
