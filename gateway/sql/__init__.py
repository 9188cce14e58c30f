"""SQL as a way to ask: a statement becomes the same request as any other, and decides nothing."""
