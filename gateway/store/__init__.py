"""The state database: migrations, and the tables each room keeps in it."""
