"""The command `tomogram`: one file a command, each of them thin."""
