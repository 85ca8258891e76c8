"""Generated captions beside human ones: tokens, n-gram scores and hallucinated objects."""
