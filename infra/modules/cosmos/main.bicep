// The account, the container of the records, and what the app may do there. The account can be there already, with its
// database and dek store.

param location string
param tags object
param principalId string
param newAccount bool
param accountName string
param accountResourceGroup string
param databaseName string
param dekContainer string
param dekPartitionKey string
param dekMaxThroughput int
param recordsMaxThroughput int
param documentContainers array
param documentMigrations bool
param privateNetwork bool

module account 'account.bicep' = if (newAccount) {
  name: 'keyturn-cosmos-account'
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
  name: 'keyturn-records'
  params: {
    accountName: accountName
    databaseName: databaseName
    containerName: 'keyturn'
    maxThroughput: recordsMaxThroughput
  }
  dependsOn: [account]
}

module migrations 'document_migrations.bicep' = if (documentMigrations) {
  scope: resourceGroup(accountResourceGroup)
  name: 'keyturn-document-migrations'
  params: {
    accountName: accountName
    databaseName: databaseName
    dekContainer: dekContainer
    documentContainers: documentContainers
    principalId: principalId
  }
  dependsOn: [records]
}

module access 'access.bicep' = {
  scope: resourceGroup(accountResourceGroup)
  name: 'keyturn-cosmos-access'
  params: {
    accountName: accountName
    databaseName: databaseName
    dekContainer: dekContainer
    recordsContainer: records.outputs.containerName
    documentContainers: documentContainers
    principalId: principalId
  }
  dependsOn: [migrations]
}

module backupCheck 'backup_check.bicep' = {
  scope: resourceGroup(accountResourceGroup)
  name: 'keyturn-backup-check'
  params: {
    accountName: accountName
    principalId: principalId
  }
  dependsOn: [account]
}

// The id by way of the rights: whoever waits for it (a private endpoint does) changes the account after them.
output id string = access.outputs.accountId
output endpoint string = records.outputs.endpoint
output recordsContainer string = records.outputs.containerName
