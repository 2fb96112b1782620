"""Call records from the spool into the lakehouse."""
