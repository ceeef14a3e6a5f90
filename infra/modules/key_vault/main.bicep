// The vault, the MEK and what the app may do with them. Vault and key can be there already.

import { channelSecret, channelSetting, tagMap } from '../../types.bicep'

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
param channels channelSetting[]

@secure()
param notificationUrls string

@secure()
param onCallUrls string

@secure()
param approverUrls string
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

module webhookSecret 'webhook_secret.bicep' = {
  scope: resourceGroup(vaultResourceGroup)
  params: {
    vaultName: vaultName
    secretName: approvalSecretName
    identityName: identityName
    principalId: principalId
  }
  dependsOn: [logs]
}

module notifications 'channels.bicep' = if (contains(channels, 'NOTIFICATION_URLS') && !empty(notificationUrls)) {
  scope: resourceGroup(vaultResourceGroup)
  params: {
    vaultName: vaultName
    secretName: channelSecret('NOTIFICATION_URLS')
    urls: notificationUrls
  }
  dependsOn: [logs]
}

module onCall 'channels.bicep' = if (contains(channels, 'ON_CALL_URLS') && !empty(onCallUrls)) {
  scope: resourceGroup(vaultResourceGroup)
  params: {
    vaultName: vaultName
    secretName: channelSecret('ON_CALL_URLS')
    urls: onCallUrls
  }
  dependsOn: [logs]
}

module approvers 'channels.bicep' = if (contains(channels, 'APPROVER_URLS') && !empty(approverUrls)) {
  scope: resourceGroup(vaultResourceGroup)
  params: {
    vaultName: vaultName
    secretName: channelSecret('APPROVER_URLS')
    urls: approverUrls
  }
  dependsOn: [logs]
}

module channelAccess 'secret_access.bicep' = [
  for setting in channels: {
    scope: resourceGroup(vaultResourceGroup)
    params: {
      vaultName: vaultName
      secretName: channelSecret(setting)
      identityName: identityName
      principalId: principalId
    }
    dependsOn: [notifications, onCall, approvers]
  }
]

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
