"""Tools: what a program may do beside asking the model, each behind a contract that the runner enforces."""
