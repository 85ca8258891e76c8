"""Finding, checking and reading checkpoints, whatever the family."""
