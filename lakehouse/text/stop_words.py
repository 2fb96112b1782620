"""English stop words that the lexical index drops; they change recall little, and spare a walk over every chunk."""

from bm25s.stopwords import STOPWORDS_EN

STOP_WORDS = tuple(STOPWORDS_EN)
