"""The HTTP application: routes, streaming, pages."""
