"""Who may do what: tenants, groups, API keys and what each may spend."""
