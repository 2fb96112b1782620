"""What every part of Lakehop shares: settings, table declarations, Delta and Milvus access, prices, call records."""
