"""Keeping tables small, forgetting documents, and the Thrift server."""
