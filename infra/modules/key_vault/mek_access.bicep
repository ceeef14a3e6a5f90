// What the app may do with the master encryption key, at the scope of this one key.
// Deployed into the vault's resource group.

param vaultName string
param mekName string
param principalId string

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

resource key 'Microsoft.KeyVault/vaults/keys@2023-07-01' existing = {
  parent: vault
  name: mekName
}

// No built-in role can create a version without being able to delete and purge the key.
resource rotator 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'keyturn-rotator')
  properties: {
    // Names of roles are unique in a tenant, names of resource groups are not.
    roleName: 'Keyturn rotator (${resourceGroup().name} ${uniqueString(resourceGroup().id)})'
    description: 'Make, use and disable versions of a master encryption key. Never delete or purge.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.KeyVault/vaults/keys/read'
          'Microsoft.KeyVault/vaults/keys/create/action'
          'Microsoft.KeyVault/vaults/keys/update/action'
          'Microsoft.KeyVault/vaults/keys/unwrap/action'
          'Microsoft.KeyVault/vaults/keys/backup/action'
        ]
        notDataActions: []
      }
    ]
  }
}

resource rotates 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(key.id, principalId, rotator.id)
  scope: key
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: rotator.id
  }
}

output vaultId string = vault.id
output vaultUrl string = vault.properties.vaultUri
