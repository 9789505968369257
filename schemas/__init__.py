"""What every part speaks: documents, events, frames, topics, money; pure, without I/O."""
