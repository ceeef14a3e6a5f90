// The vault, the MEK and what the app may do with them. Vault and key can be there already.

import { tagMap } from '../../types.bicep'

param location string
param tags tagMap
param identityName string
param principalId string
param workspaceId string
param newVault bool
param vaultName string
param vaultResourceGroup string
param mekExists bool
param mekName string
param approvalSecretName string
param privateNetwork bool

// Azure learns of a role, and of a vault, some time after it has said that it made them. So the role is made first and used last,
// and the key waits for the vault's logs.
module role 'rotator_role.bicep' = {
  scope: resourceGroup(vaultResourceGroup)
}

module vault 'vault.bicep' = if (newVault) {
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
  params: {
    vaultName: vaultName
    mekName: mekName
  }
  dependsOn: [logs]
}

module access 'mek_access.bicep' = {
  scope: resourceGroup(vaultResourceGroup)
  params: {
    vaultName: vaultName
    mekName: mekName
    identityName: identityName
    principalId: principalId
  }
  dependsOn: [role, mek, logs]
}

module webhookSecret 'webhook_secret.bicep' = if (!empty(approvalSecretName)) {
  scope: resourceGroup(vaultResourceGroup)
  params: {
    vaultName: vaultName
    secretName: approvalSecretName
    identityName: identityName
    principalId: principalId
  }
  dependsOn: [vault]
}

module logs 'logs.bicep' = {
  scope: resourceGroup(vaultResourceGroup)
  params: {
    vaultName: vaultName
    workspaceId: workspaceId
  }
  dependsOn: [vault]
}

output id string = access.outputs.vaultId
output url string = access.outputs.vaultUrl
