"""The pages of images and tags."""
