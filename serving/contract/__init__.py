"""What HTTP callers can rely on: bodies, problems, access, metrics."""
