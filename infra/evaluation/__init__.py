"""Evaluating answers, learning weights, compiling programs."""
