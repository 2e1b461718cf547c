"""Several workers on one PostgreSQL: real processes, of which any may die."""
