"""What calls cost: prices by date, call records, and the spool that holds them until they are loaded."""
