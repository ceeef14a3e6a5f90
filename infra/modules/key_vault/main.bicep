// The vault, the MEK and what the app may do with them. Vault and key can be there already.

param location string
param tags object
param principalId string
param workspaceId string
param newVault bool
param vaultName string
param vaultResourceGroup string
param mekExists bool
param mekName string
param approvalSecretName string
param privateNetwork bool

module vault 'vault.bicep' = if (newVault) {
  name: 'keyturn-vault'
  params: {
    name: vaultName
    location: location
    tags: tags
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkDefaultAction: privateNetwork ? 'Deny' : 'Allow'
  }
}

module mek 'mek.bicep' = if (!mekExists) {
  scope: resourceGroup(vaultResourceGroup)
  name: 'keyturn-mek'
  params: {
    vaultName: vaultName
    mekName: mekName
  }
  dependsOn: [vault]
}

module access 'mek_access.bicep' = {
  scope: resourceGroup(vaultResourceGroup)
  name: 'keyturn-mek-access'
  params: {
    vaultName: vaultName
    mekName: mekName
    principalId: principalId
  }
  dependsOn: [mek]
}

module webhookSecret 'webhook_secret.bicep' = if (!empty(approvalSecretName)) {
  scope: resourceGroup(vaultResourceGroup)
  name: 'keyturn-webhook-secret'
  params: {
    vaultName: vaultName
    secretName: approvalSecretName
    principalId: principalId
  }
  dependsOn: [vault]
}

module logs 'logs.bicep' = {
  scope: resourceGroup(vaultResourceGroup)
  name: 'keyturn-vault-logs'
  params: {
    vaultName: vaultName
    workspaceId: workspaceId
  }
  dependsOn: [vault]
}

output id string = access.outputs.vaultId
output url string = access.outputs.vaultUrl
