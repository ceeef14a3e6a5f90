// What the app may do with the master encryption key, at the scope of this one key: the role of rotator_role.bicep.
// Deployed into the vault's resource group.

param vaultName string
param mekName string
param identityName string
param principalId string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource key 'Microsoft.KeyVault/vaults/keys@2025-05-01' existing = {
  parent: vault
  name: mekName
}

resource rotator 'Microsoft.Authorization/roleDefinitions@2022-04-01' existing = {
  name: guid(resourceGroup().id, 'keyturn-rotator')
}

resource rotates 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(key.id, identityName, rotator.id)
  scope: key
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: rotator.id
  }
}

output vaultId string = vault.id
output vaultUrl string = vault.properties.vaultUri
