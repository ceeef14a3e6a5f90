// Writes a setting with channels, which hold tokens, into the vault; the app has it by reference.
// Deployed into the vault's resource group, where a deployment is given a value: without one, what the vault has stays.

param vaultName string
param secretName string

@secure()
@description('Value of the setting.')
param urls string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: secretName
  properties: {
    value: urls
    contentType: 'apprise URLs'
  }
}
