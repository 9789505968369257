"""Kafka and Redis on loopback, as child processes: embedded, or Apache Kafka and redis-server."""
