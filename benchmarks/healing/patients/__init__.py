"""The programs that fall ill. Each file is copied to a host and runs there alone, with the standard library only."""
