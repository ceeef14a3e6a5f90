// Entra authentication in front of the app: who calls is known before the app runs.

param appName string

@description('Client id of the app registration that signs callers in.')
param clientId string

@description('Setting of the app by which App Service knows the identity that it signs in with, in place of a secret.')
param credentialSetting string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

// The approval webhook's callers sign their message and have no Entra token; health tells nothing.
resource signIn 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
    }
    globalValidation: {
      requireAuthentication: true
      // Approvers follow a link in their browser; what a program calls needs a token either way.
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: ['/api/health', '/api/approvals']
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: clientId
          clientSecretSettingName: credentialSetting
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [clientId, 'api://${clientId}']
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}
