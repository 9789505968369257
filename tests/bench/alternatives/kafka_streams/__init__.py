"""A Kafka Streams application: `contender` says how the harness runs it, `bench` is its Java."""
