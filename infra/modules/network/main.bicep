// The app's network, and a private endpoint in it for every service that the app calls.

param token string
param location string
param tags object
param addressPrefix string
param appSubnetPrefix string
param endpointSubnetPrefix string
param storageId string
param vaultId string
param cosmosId string
param schedulerId string

module network 'network.bicep' = {
  name: 'keyturn-network'
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    addressPrefix: addressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
  }
}

var services = [
  { name: 'blob', id: storageId, group: 'blob', zone: 'privatelink.blob.${environment().suffixes.storage}' }
  { name: 'vault', id: vaultId, group: 'vault', zone: 'privatelink.vaultcore.azure.net' }
  { name: 'cosmos', id: cosmosId, group: 'Sql', zone: 'privatelink.documents.azure.com' }
  { name: 'scheduler', id: schedulerId, group: 'scheduler', zone: 'privatelink.durabletask.io' }
]

module endpoints 'private_endpoint.bicep' = [for service in services: {
  name: 'keyturn-endpoint-${service.name}'
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
}]

output appSubnetId string = network.outputs.appSubnetId
