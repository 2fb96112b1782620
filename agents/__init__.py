"""DSPy programs that answer questions, the model engine under them, and their budgets. No HTTP server here."""
