"""One file per noun an admin acts on."""
