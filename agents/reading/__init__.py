"""Reading passages: signatures, reading order, citations, answerability, quorum."""
