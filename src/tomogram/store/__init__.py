"""The ground floor: errors, digests, atomic writes, stages that resume, progress."""
