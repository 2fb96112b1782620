"""What every step needs: the change feed, counts, the writer lock, and how failures are told."""
