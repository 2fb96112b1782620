"""Airflow DAGs: schedules, order, retries and parameters of the Spark jobs. Nothing is computed here."""
