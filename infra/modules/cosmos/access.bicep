// What the app may do in Cosmos DB: one role a container, none of which deletes. Data-plane roles: Azure's own roles give
// nothing here. Deployed into the account's resource group.
//
// One after the other (dependsOn): the account takes one change of its roles at a time and answers 412 to a second one.

import { documentContainer } from '../../types.bicep'

param accountName string
param databaseName string
param dekContainer string
param recordsContainer string
param identityName string
param principalId string

@description('Containers whose documents are read as canaries: {name, ...}.')
param documentContainers documentContainer[]

var database = '${account.id}/dbs/${databaseName}'

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' existing = {
  name: accountName
}

// Clients read where regions and partitions are before they ask for anything; metadata holds no document.
resource metadataRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'keyturn-metadata')
  properties: {
    roleName: 'Keyturn metadata'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: ['Microsoft.DocumentDB/databaseAccounts/readMetadata']
      }
    ]
  }
}

// A row is read and patched: it cannot be created, upserted or deleted.
resource dekStoreRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'keyturn-dek-store')
  properties: {
    roleName: 'Keyturn dek store'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: [
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/replace'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/readChangeFeed'
        ]
      }
    ]
  }
  dependsOn: [metadataRole]
}

resource recordsRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'keyturn-records')
  properties: {
    roleName: 'Keyturn records'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: [
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/create'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/replace'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/readChangeFeed'
        ]
      }
    ]
  }
  dependsOn: [dekStoreRole]
}

resource documentsRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'keyturn-documents')
  properties: {
    roleName: 'Keyturn documents'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: [
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/readChangeFeed'
        ]
      }
    ]
  }
  dependsOn: [recordsRole]
}

resource metadata 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = {
  parent: account
  name: guid(metadataRole.id, identityName)
  properties: {
    principalId: principalId
    roleDefinitionId: metadataRole.id
    scope: account.id
  }
  dependsOn: [documentsRole]
}

resource dekStore 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = {
  parent: account
  name: guid(dekStoreRole.id, identityName, dekContainer)
  properties: {
    principalId: principalId
    roleDefinitionId: dekStoreRole.id
    scope: '${database}/colls/${dekContainer}'
  }
  dependsOn: [metadata]
}

resource records 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = {
  parent: account
  name: guid(recordsRole.id, identityName, recordsContainer)
  properties: {
    principalId: principalId
    roleDefinitionId: recordsRole.id
    scope: '${database}/colls/${recordsContainer}'
  }
  dependsOn: [dekStore]
}

@batchSize(1)
resource documents 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = [
  for container in documentContainers: {
    parent: account
    name: guid(documentsRole.id, identityName, container.name)
    properties: {
      principalId: principalId
      roleDefinitionId: documentsRole.id
      scope: '${database}/colls/${container.name}'
    }
    dependsOn: [records]
  }
]

output accountId string = account.id
