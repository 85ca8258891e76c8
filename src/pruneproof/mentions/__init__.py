"""Which of COCO's classes a text mentions, for benchmarks that collect them from captions and for CHAIR."""
