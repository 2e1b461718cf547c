"""What the playground and the admin page share in a browser: the look, and helpers of their scripts."""
