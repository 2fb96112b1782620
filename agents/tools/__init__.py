"""Tools of programs, each behind a contract that the task's runner enforces."""
