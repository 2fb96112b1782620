"""What analysts query: gold views, read-only SQL, and the data dictionary."""
