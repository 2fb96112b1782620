"""One question being answered: context, budget, journal, records, and the calls of tools."""
