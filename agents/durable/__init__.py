"""Tasks that outlive their process."""
