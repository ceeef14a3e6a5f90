// What the app needs beside its other roles while documents are encrypted or re-encrypted: to replace documents, and to create
// the rows of their DEKs. Deployed into the account's resource group, for as long as documentMigrations says so.
//
// One after the other (dependsOn), and before the other roles: the account takes one change of its roles at a time.

import { documentContainer } from '../../types.bicep'

param accountName string
param databaseName string
param dekContainer string
param documentContainers documentContainer[]
param identityName string
param principalId string

var database = '${account.id}/dbs/${databaseName}'

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' existing = {
  name: accountName
}

resource newDeksRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'keyturn-new-deks')
  properties: {
    roleName: 'Keyturn new DEKs'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: ['Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/create']
      }
    ]
  }
}

resource documentChangesRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'keyturn-document-changes')
  properties: {
    roleName: 'Keyturn document changes'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: ['Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/replace']
      }
    ]
  }
  dependsOn: [newDeksRole]
}

resource newDeks 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = {
  parent: account
  name: guid(newDeksRole.id, identityName, dekContainer)
  properties: {
    principalId: principalId
    roleDefinitionId: newDeksRole.id
    scope: '${database}/colls/${dekContainer}'
  }
  dependsOn: [documentChangesRole]
}

@batchSize(1)
resource documentChanges 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = [
  for container in documentContainers: {
    parent: account
    name: guid(documentChangesRole.id, identityName, container.name)
    properties: {
      principalId: principalId
      roleDefinitionId: documentChangesRole.id
      scope: '${database}/colls/${container.name}'
    }
    dependsOn: [newDeks]
  }
]
