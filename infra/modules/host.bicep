// What the Functions host stands on: its storage, and the scheduler that keeps the workflows.

param token string
param location string
param tags object
param principalId string
param privateNetwork bool
param schedulerSku string

module storage 'storage.bicep' = {
  name: 'keyturn-storage'
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    principalId: principalId
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkDefaultAction: privateNetwork ? 'Deny' : 'Allow'
  }
}

module scheduler 'task_scheduler.bicep' = {
  name: 'keyturn-task-scheduler'
  params: {
    name: 'dts-${token}'
    location: location
    tags: tags
    principalId: principalId
    taskHubName: 'keyturn'
    skuName: schedulerSku
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
  }
}

output storageId string = storage.outputs.id
output blobEndpoint string = storage.outputs.blobEndpoint
output packageUrl string = storage.outputs.packageUrl
output schedulerId string = scheduler.outputs.id
output schedulerEndpoint string = scheduler.outputs.endpoint
output taskHubName string = scheduler.outputs.taskHubName
