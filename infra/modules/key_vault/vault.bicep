// A new Key Vault for the MEK. Not deployed where an existing vault is named.

import { tagMap } from '../../types.bicep'

param name string
param location string
param tags tagMap

@allowed(['Enabled', 'Disabled'])
param publicNetworkAccess string = 'Disabled'

@allowed(['Allow', 'Deny'])
param networkDefaultAction string = 'Deny'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    // Cannot be taken back: whoever loses this vault loses every document.
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      bypass: 'None'
      defaultAction: networkDefaultAction
      ipRules: []
      virtualNetworkRules: []
    }
  }
}
