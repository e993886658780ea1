"""The service: archives over HTTP, for programs, for IIIF viewers and for people."""
