"""The demonstration: a whole deployment with every kind of user, played through once."""
