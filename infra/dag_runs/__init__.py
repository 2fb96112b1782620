"""Commands that run a DAG and report what it did."""
