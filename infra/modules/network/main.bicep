// The app's network, and a private endpoint in it for every service that the app calls.

import { tagMap } from '../../types.bicep'

param token string
param location string
param tags tagMap
param addressPrefix string
param appSubnetPrefix string
param endpointSubnetPrefix string
param storageId string
param vaultId string
param cosmosId string
param schedulerId string
param privateScheduler bool

module network 'network.bicep' = {
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    addressPrefix: addressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
  }
}

var scheduler = {
  name: 'scheduler'
  id: schedulerId
  group: 'scheduler'
  zone: 'privatelink.durabletask.io'
}
var services = concat(privateScheduler ? [scheduler] : [], [
  { name: 'blob', id: storageId, group: 'blob', zone: 'privatelink.blob.${environment().suffixes.storage}' }
  { name: 'vault', id: vaultId, group: 'vault', zone: 'privatelink.vaultcore.azure.net' }
  { name: 'cosmos', id: cosmosId, group: 'Sql', zone: 'privatelink.documents.azure.com' }
])

module endpoints 'private_endpoint.bicep' = [
  for service in services: {
    params: {
      name: 'pe-${service.name}-${token}'
      location: location
      tags: tags
      networkId: network.outputs.id
      subnetId: network.outputs.endpointSubnetId
      serviceId: service.id
      groupId: service.group
      zoneName: service.zone
    }
  }
]

output appSubnetId string = network.outputs.appSubnetId
