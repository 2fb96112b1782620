"""The command line, the local stack, the demo: starts everything else and talks to it from outside."""
