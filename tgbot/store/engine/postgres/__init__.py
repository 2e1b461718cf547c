"""Every quirk of PostgreSQL: connections, commits whose outcome is unknown, leases, migrations."""
