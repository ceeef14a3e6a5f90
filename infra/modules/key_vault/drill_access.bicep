// What the app may do in the drill vault: the role of drill_role.bicep. Deployed into that vault's resource group.

param vaultName string
param identityName string
param principalId string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource drill 'Microsoft.Authorization/roleDefinitions@2022-04-01' existing = {
  name: guid(resourceGroup().id, 'keyturn-key-drill')
}

resource drills 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identityName, drill.id)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: drill.id
  }
}

output vaultUrl string = vault.properties.vaultUri
