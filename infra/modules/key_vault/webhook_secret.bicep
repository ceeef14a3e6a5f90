// The approval webhook's secret, made here and known to the vault alone: no parameter, output or history of a deployment has it.
// Made only where the vault has none of this name, so that deploying again, or over a secret of one's own, changes nothing.

param vaultName string
param secretName string
param identityName string
param principalId string

@secure()
@description('64 random characters, 244 bits of them chosen by Azure Resource Manager; Standard Webhooks takes 24 to 64 bytes.')
param made string = 'whsec_${base64(replace('${newGuid()}${newGuid()}', '-', ''))}'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

@onlyIfNotExists()
resource secret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: secretName
  properties: {
    value: made
    contentType: 'Standard Webhooks secrets, separated by spaces'
  }
}

module access 'secret_access.bicep' = {
  params: {
    vaultName: vaultName
    secretName: secret.name
    identityName: identityName
    principalId: principalId
  }
}
