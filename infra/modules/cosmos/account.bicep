// A new Cosmos DB account with its database and dek store. Not deployed where an existing account is named.

import { tagMap } from '../../types.bicep'

param name string
param location string
param tags tagMap
param databaseName string
param dekContainer string
param dekPartitionKey string

@description('Autoscale maximum of the dek store, RU/s. A sweep writes about 35 rows a second, 12 RU each.')
param dekMaxThroughput int

@allowed(['Enabled', 'Disabled'])
param publicNetworkAccess string = 'Disabled'

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' = {
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    consistencyPolicy: {
      defaultConsistencyLevel: 'Session'
    }
    locations: [
      {
        locationName: location
        failoverPriority: 0
        isZoneRedundant: false
      }
    ]
    // As long as a retired version is kept at least: any state that can be restored can still be opened.
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: {
        tier: 'Continuous30Days'
      }
    }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    enableAutomaticFailover: false
    enableMultipleWriteLocations: false
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: publicNetworkAccess
    networkAclBypass: 'None'
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-10-15' = {
  parent: account
  name: databaseName
  properties: {
    resource: {
      id: databaseName
    }
  }
}

resource deks 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-10-15' = {
  parent: database
  name: dekContainer
  properties: {
    options: {
      autoscaleSettings: {
        maxThroughput: dekMaxThroughput
      }
    }
    resource: {
      id: dekContainer
      partitionKey: {
        kind: 'Hash'
        paths: [dekPartitionKey]
        version: 2
      }
      // The census counts by these two; wraps are never looked for.
      indexingPolicy: {
        indexingMode: 'consistent'
        includedPaths: [{ path: '/mekName/?' }, { path: '/mekVersion/?' }]
        excludedPaths: [{ path: '/*' }]
      }
    }
  }
}
