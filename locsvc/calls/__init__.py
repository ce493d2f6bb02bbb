"""Live calls: what has arrived, what was answered, kept safe on disk."""
