// The container of the rotations' records, in an account and database that are there.
// Deployed into the account's resource group.

param accountName string
param databaseName string
param containerName string

@description('Autoscale maximum, RU/s; 0 where the account is serverless or the database has the throughput.')
param maxThroughput int

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' existing = {
  name: accountName
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-10-15' existing = {
  parent: account
  name: databaseName
}

resource records 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-10-15' = {
  parent: database
  name: containerName
  properties: {
    options: maxThroughput == 0 ? {} : { autoscaleSettings: { maxThroughput: maxThroughput } }
    resource: {
      id: containerName
      partitionKey: {
        kind: 'Hash'
        paths: ['/keyring']
        version: 2
      }
      // On, with no expiry of its own: only documents that say so (idempotency keys, webhook ids) go away. Records stay.
      defaultTtl: -1
      // What the lists of runs and the audit chain filter and sort by: without an index Cosmos DB refuses to sort.
      indexingPolicy: {
        indexingMode: 'consistent'
        includedPaths: [
          { path: '/keyring/?' }
          { path: '/kind/?' }
          { path: '/fencingToken/?' }
          { path: '/sequence/?' }
        ]
        excludedPaths: [{ path: '/*' }]
      }
    }
  }
}

output endpoint string = account.properties.documentEndpoint
