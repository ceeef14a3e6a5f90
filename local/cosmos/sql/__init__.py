"""The part of Cosmos DB's query language that is served: lexer, parser, evaluation, query plan."""
