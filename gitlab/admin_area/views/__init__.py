"""Pages of the console that are no model's. The console's door lets in administrators alone."""
