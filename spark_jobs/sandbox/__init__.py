"""The limited process in which files from strangers are converted."""
