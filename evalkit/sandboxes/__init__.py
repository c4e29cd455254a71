"""What runs a generated program. One module per back end."""
