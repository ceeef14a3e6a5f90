// Durable Task Scheduler and the task hub of the workflows. Access is by identity only; there are no keys to turn off.

import { tagMap } from '../types.bicep'

param name string
param location string
param tags tagMap
param identityName string
param principalId string
param taskHubName string

@allowed(['Consumption', 'Dedicated'])
param skuName string = 'Consumption'

@allowed(['Enabled', 'Disabled'])
param publicNetworkAccess string = 'Disabled'

var roles = loadJsonContent('../roles.json')

resource scheduler 'Microsoft.DurableTask/schedulers@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: skuName == 'Dedicated' ? { name: 'Dedicated', capacity: 1 } : { name: 'Consumption' }
    // An empty list refuses everybody; with public access disabled only private endpoints are left.
    ipAllowlist: ['0.0.0.0/0']
    publicNetworkAccess: publicNetworkAccess
  }
}

resource taskHub 'Microsoft.DurableTask/schedulers/taskHubs@2026-02-01' = {
  parent: scheduler
  name: taskHubName
}

// The app both starts workflows and works on them: the worker-only role is not enough.
resource worker 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(taskHub.id, identityName, roles.durableTaskDataContributor)
  scope: taskHub
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.durableTaskDataContributor
    )
  }
}

output id string = scheduler.id
output endpoint string = scheduler.properties.endpoint
output taskHubName string = taskHub.name
