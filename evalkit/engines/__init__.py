"""What answers a prompt. One module per back end; heavy imports inside."""
