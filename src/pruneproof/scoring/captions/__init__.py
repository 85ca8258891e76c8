"""Generated captions beside human ones: tokens, n-gram scores, and the objects of COCO that a caption mentions."""
