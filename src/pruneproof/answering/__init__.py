"""The grid of cells, the store of finished batches, and the engine that fills it."""
