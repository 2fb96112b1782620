"""Files as Markdown, one module a family of formats."""
