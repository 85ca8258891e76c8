"""What families share between a prompt and its replies: batching, sharing, narrowing, generation."""
