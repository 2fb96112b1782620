"""What outlives a task: memories of users and compiled programs."""
