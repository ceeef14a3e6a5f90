// The app on Flex Consumption.

import { settingMap, tagMap } from '../../types.bicep'

param name string
param planName string
param location string
param tags tagMap

param identityId string
param identityClientId string
param packageUrl string
param maximumInstanceCount int
param alwaysReadyInstances int

@description('Settings of the app, by name: what keyturn.settings and host.json read.')
param settings settingMap
param blobEndpoint string
param insightsConnectionString string

@description('Subnet that the app calls out from; empty for the public network.')
param subnetId string

@description('Address ranges (CIDR) that may call the app; empty for all.')
param callers string[]

@description('Client id of the app registration that signs callers in; empty leaves access to function keys alone.')
param entraClientId string

// App Service signs in with the identity where this setting names it: sign_in.bicep, and the registration trusts the identity.
var signInCredential = 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
var signInSettings = empty(entraClientId) ? {} : { '${signInCredential}': identityClientId }

// What the platform and the SDKs read; the app's own settings come on top.
var platformSettings = {
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  AZURE_CLIENT_ID: identityClientId
  // Bytes; what is larger the host refuses with 413 before it has read it. As the app's own bound: triggers/http.py.
  FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '65536'
  PYTHON_ENABLE_OPENTELEMETRY: 'true'
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    // Flex Consumption has no FTP, and refuses a request that names ftpsState or any other property of older plans.
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      appSettings: [
        for setting in items(union(platformSettings, signInSettings, settings)): {
          name: setting.key
          value: setting.value
        }
      ]
      ipSecurityRestrictionsDefaultAction: empty(callers) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: [
        for (address, index) in callers: {
          name: 'caller-${index}'
          action: 'Allow'
          ipAddress: address
          priority: 100 + index
        }
      ]
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyInstances == 0 ? [] : [{ name: 'durable', instanceCount: alwaysReadyInstances }]
      }
    }
  }
}

// No user name and password for deployments either: identities only.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

module signIn 'sign_in.bicep' = if (!empty(entraClientId)) {
  params: {
    appName: app.name
    clientId: entraClientId
    credentialSetting: signInCredential
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
