"""The bench on a PostgreSQL of its own: what a message costs there, and what several workers carry."""
