"""The pure model: values and rules without I/O, clock or randomness."""
