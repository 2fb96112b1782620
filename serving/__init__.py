"""The HTTP side: BentoML services, authentication, spend caps, the console."""
