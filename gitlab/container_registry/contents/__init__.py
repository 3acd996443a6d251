"""What is inside of images: read over the wire by digest, and taken apart without I/O."""
