"""Written answers: the form's instructions, the citations of each sentence, and what no passage supports left out."""
