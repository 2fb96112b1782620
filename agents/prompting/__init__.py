"""How a signature becomes a prompt: adapter, output constraints, demonstrations."""
