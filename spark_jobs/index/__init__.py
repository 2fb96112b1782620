"""The second Airflow task of an ingest: embed chunks and update Milvus. Also reindex and reconcile."""
