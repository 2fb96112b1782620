"""Load spooled call records into the lakehouse."""
