"""Execution: store, workers, executor, record. Everything durable is written here."""
