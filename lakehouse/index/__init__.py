"""Chunks in Milvus: layout, reading, writing, versions, and the embedding model."""
