// The account, the container of the records, and what the app may do there. The account can be there already, with its
// database and dek store.

import { documentContainer, tagMap } from '../../types.bicep'

param location string
param tags tagMap
param identityName string
param principalId string
param newAccount bool
param accountName string
param accountResourceGroup string
param databaseName string
param dekContainer string
param dekPartitionKey string
param dekMaxThroughput int
param recordsMaxThroughput int
param documentContainers documentContainer[]
param documentMigrations bool
param privateNetwork bool

var recordsContainer = 'keyturn'

// Made first and used last: Azure learns of a role some time after it has said that it made it.
module backupRole 'backup_role.bicep' = {
  scope: resourceGroup(accountResourceGroup)
}

module account 'account.bicep' = if (newAccount) {
  params: {
    name: accountName
    location: location
    tags: tags
    databaseName: databaseName
    dekContainer: dekContainer
    dekPartitionKey: dekPartitionKey
    dekMaxThroughput: dekMaxThroughput
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
  }
}

module records 'records.bicep' = {
  scope: resourceGroup(accountResourceGroup)
  params: {
    accountName: accountName
    databaseName: databaseName
    containerName: recordsContainer
    maxThroughput: recordsMaxThroughput
  }
  dependsOn: [account]
}

module migrations 'document_migrations.bicep' = if (documentMigrations) {
  scope: resourceGroup(accountResourceGroup)
  params: {
    accountName: accountName
    databaseName: databaseName
    dekContainer: dekContainer
    documentContainers: documentContainers
    identityName: identityName
    principalId: principalId
  }
  dependsOn: [records]
}

module access 'access.bicep' = {
  scope: resourceGroup(accountResourceGroup)
  params: {
    accountName: accountName
    databaseName: databaseName
    dekContainer: dekContainer
    recordsContainer: recordsContainer
    documentContainers: documentContainers
    identityName: identityName
    principalId: principalId
  }
  dependsOn: [records, migrations]
}

module backupCheck 'backup_check.bicep' = {
  scope: resourceGroup(accountResourceGroup)
  params: {
    accountName: accountName
    identityName: identityName
    principalId: principalId
  }
  dependsOn: [backupRole, access]
}

// The id by way of the rights: whoever waits for it (a private endpoint does) changes the account after them.
output id string = access.outputs.accountId
output endpoint string = records.outputs.endpoint
output recordsContainer string = recordsContainer
