"""Where rows are kept: Delta tables with and without a JVM, and the Spark session."""
