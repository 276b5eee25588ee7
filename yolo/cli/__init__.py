"""The command line: parse, make a configuration, call the engine once, print."""
