"""The small models that come with the project: their architecture, training and model cards."""
