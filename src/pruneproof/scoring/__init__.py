"""From answers to scores: official scorers, robustness, hallucination, statistics. Nothing here imports torch."""
