// The Functions host's own storage (timer leases, function keys) and the deployment package. No data of the app is in it.

import { tagMap } from '../types.bicep'

param name string
param location string
param tags tagMap
param identityName string
param principalId string

@allowed(['Standard_ZRS', 'Standard_LRS'])
param skuName string = 'Standard_ZRS'

@allowed(['Enabled', 'Disabled'])
param publicNetworkAccess string = 'Disabled'

@allowed(['Allow', 'Deny'])
param networkDefaultAction string = 'Deny'

var roles = loadJsonContent('../roles.json')
var packageContainer = 'deployment'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: skuName
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      bypass: 'None'
      defaultAction: networkDefaultAction
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: packageContainer
  properties: {
    publicAccess: 'None'
  }
}

// The host takes and breaks leases on its blobs, for which Microsoft asks for Owner; the account serves nothing else.
resource host 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, identityName, roles.storageBlobDataOwner)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataOwner)
  }
}

output id string = account.id
output blobEndpoint string = account.properties.primaryEndpoints.blob
output packageUrl string = '${account.properties.primaryEndpoints.blob}${packageContainer}'
