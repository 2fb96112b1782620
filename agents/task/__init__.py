"""One question being answered: context, budget, journal, records, searches and tool calls."""
