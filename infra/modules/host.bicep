// What the Functions host stands on: its storage, and the scheduler that keeps the workflows.

import { tagMap } from '../types.bicep'

param token string
param location string
param tags tagMap
param identityName string
param principalId string
param privateNetwork bool
param privateScheduler bool
param schedulerSku string
param storageSku string

module storage 'storage.bicep' = {
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    identityName: identityName
    principalId: principalId
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkDefaultAction: privateNetwork ? 'Deny' : 'Allow'
    skuName: storageSku
  }
}

module scheduler 'task_scheduler.bicep' = {
  params: {
    name: 'dts-${token}'
    location: location
    tags: tags
    identityName: identityName
    principalId: principalId
    taskHubName: 'keyturn'
    skuName: schedulerSku
    publicNetworkAccess: privateScheduler ? 'Disabled' : 'Enabled'
  }
}

output storageId string = storage.outputs.id
output blobEndpoint string = storage.outputs.blobEndpoint
output packageUrl string = storage.outputs.packageUrl
output schedulerId string = scheduler.outputs.id
output schedulerEndpoint string = scheduler.outputs.endpoint
output taskHubName string = scheduler.outputs.taskHubName
