// The first version of a new master encryption key; not deployed where an existing key is named.
// Azure Resource Manager creates a key only where none of this name is: deploying again never makes another version.

param vaultName string
param mekName string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource mek 'Microsoft.KeyVault/vaults/keys@2025-05-01' = {
  parent: vault
  name: mekName
  properties: {
    kty: 'RSA'
    keySize: 4096
    keyOps: ['wrapKey', 'unwrapKey']
    attributes: {
      enabled: true
      exportable: false
    }
    // Notify only: an automatic rotation would make versions behind the app's back, with no row moved onto them.
    rotationPolicy: {
      attributes: {
        expiryTime: 'P90D'
      }
      lifetimeActions: [
        {
          action: {
            type: 'notify'
          }
          trigger: {
            timeBeforeExpiry: 'P30D'
          }
        }
      ]
    }
  }
}
