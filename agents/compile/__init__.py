"""Compiling a program with a DSPy optimizer."""
