"""What every operator is written in: steps, chains of them, value types, and accumulators."""
