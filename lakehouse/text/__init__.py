"""Text as retrieval reads it: terms, names, hyperlinks, sentences, and how answers are scored."""
