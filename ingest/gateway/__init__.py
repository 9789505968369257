"""Usage over HTTP: what producers post is in the log before it is answered."""
