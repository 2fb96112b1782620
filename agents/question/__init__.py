"""A question before it is answered: the form of its answer, words to search by, and what a follow-up refers to."""
