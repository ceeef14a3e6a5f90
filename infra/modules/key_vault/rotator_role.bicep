// The role that the app has on the master encryption key; mek_access.bicep assigns it.
// Deployed into the vault's resource group.

// No built-in role can create a version without being able to delete and purge the key.
resource rotator 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'keyturn-rotator')
  properties: {
    // Names of roles are unique in a tenant, names of resource groups are not.
    roleName: 'Keyturn rotator (${resourceGroup().name} ${uniqueString(resourceGroup().id)})'
    description: 'Make, use and disable versions of a master encryption key. Never delete or purge.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.KeyVault/vaults/keys/read'
          'Microsoft.KeyVault/vaults/keys/create/action'
          'Microsoft.KeyVault/vaults/keys/update/action'
          'Microsoft.KeyVault/vaults/keys/unwrap/action'
          'Microsoft.KeyVault/vaults/keys/backup/action'
        ]
        notDataActions: []
      }
    ]
  }
}
