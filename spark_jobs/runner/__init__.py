"""The base of every step: change feed, counts, writer lock, failures, files on storage."""
