"""Two images side by side: what they say of themselves, and what they are made of."""
