"""The answers of commands as JSON documents, for --json: their forms, and how they are made."""
