"""A local Cosmos DB for NoSQL: the REST surface that the azure-cosmos SDK uses, on SQLite."""
