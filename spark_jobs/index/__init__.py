"""The second task of an ingest: embed chunks and bring Milvus up to date; reindex and reconcile."""
