"""What each process must be allowed on Kafka and Redis: the lists, and `drawdown acl`."""
