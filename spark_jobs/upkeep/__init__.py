"""Table maintenance, erasure with proof, and the Thrift server."""
