// The role that the app has on the drill vault; drill_access.bicep assigns it there and nowhere else.
// Deployed into the drill vault's resource group.

// A copy of the key is restored, opens rows, and goes again: a vault that keeps one takes no second under its name.
resource drill 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'keyturn-key-drill')
  properties: {
    // Names of roles are unique in a tenant, names of resource groups are not.
    roleName: 'Keyturn key drill (${resourceGroup().name} ${uniqueString(resourceGroup().id)})'
    description: 'Restore a copy of a key into a vault that is to be thrown away, unwrap with it, and purge it. For no other vault.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.KeyVault/vaults/keys/read'
          'Microsoft.KeyVault/vaults/keys/restore/action'
          'Microsoft.KeyVault/vaults/keys/update/action'
          'Microsoft.KeyVault/vaults/keys/unwrap/action'
          'Microsoft.KeyVault/vaults/keys/delete'
          'Microsoft.KeyVault/vaults/keys/purge/action'
        ]
        notDataActions: []
      }
    ]
  }
}
