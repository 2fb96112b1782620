"""Where documents come from: folders, buckets, websites."""
