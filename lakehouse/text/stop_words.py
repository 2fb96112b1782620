"""English stop words that lexical search ignores: they change recall little, and cost a pass over every chunk."""

from bm25s.stopwords import STOPWORDS_EN

STOP_WORDS = tuple(STOPWORDS_EN)
