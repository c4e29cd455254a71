"""Task files become samples: data sources, seeded subsets, prompts."""
