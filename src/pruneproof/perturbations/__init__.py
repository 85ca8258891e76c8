"""What is done to the input: `images` corrupts the picture, `text` rewords the question; never both at once."""
