"""What several DAG files use; Airflow does not look for DAGs here."""
