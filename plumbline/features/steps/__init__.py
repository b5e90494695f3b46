"""The base classes of operators: steps, chains of steps, value types and accumulators."""
