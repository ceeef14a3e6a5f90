"""The edge of the Cosmos DB SDK: errors, tokens, the change feed, the container of Keyturn's own documents."""
