"""Jobs on this machine: bytes in a folder, records in SQLite, work in this process."""
