// The right to read the account's own description, by the role of backup_role.bicep. Deployed into the account's resource group.

param accountName string
param identityName string
param principalId string

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' existing = {
  name: accountName
}

resource reader 'Microsoft.Authorization/roleDefinitions@2022-04-01' existing = {
  name: guid(resourceGroup().id, 'keyturn-backup-check')
}

resource reads 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, identityName, reader.id)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: reader.id
  }
}
