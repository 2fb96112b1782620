"""The first Airflow task of an ingest: parse documents and cut them into chunks."""
