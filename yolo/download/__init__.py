"""Public datasets by name: fetched, verified, unpacked. The only part of the package that opens a connection."""
