// What backup_check.bicep assigns: the right to read an account's own description, in which pre-flight looks for continuous backup.
// Azure's reader role for accounts would hand out read keys as well. Deployed into the account's resource group.

resource reader 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'keyturn-backup-check')
  properties: {
    // Names of roles are unique in a tenant, names of resource groups are not.
    roleName: 'Keyturn backup check (${resourceGroup().name} ${uniqueString(resourceGroup().id)})'
    description: 'Read the description of a Cosmos DB account: backup policy, consistency, regions. No keys, no data.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: ['Microsoft.DocumentDB/databaseAccounts/read']
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}
