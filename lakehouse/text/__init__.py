"""Text as retrieval reads it: terms, names, hyperlinks, sentences, and the scoring of answers."""
