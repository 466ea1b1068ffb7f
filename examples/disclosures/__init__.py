"""The disclosures in docs/examples, made again from two scans."""
