// What people look at and are called by: the alerts and the workbook.

import { tagMap } from '../../types.bicep'

param location string
param tags tagMap
param workspaceId string
param workspaceCreatedAt string
param vaultId string
param mekName string
param principalId string
param email string
param actionGroupIds string[]
param throttledPercent int

module alerts 'alerts.bicep' = {
  params: {
    location: location
    tags: tags
    workspaceId: workspaceId
    workspaceCreatedAt: workspaceCreatedAt
    vaultId: vaultId
    mekName: mekName
    principalId: principalId
    email: email
    actionGroupIds: actionGroupIds
    throttledPercent: throttledPercent
  }
}

module workbook 'workbook.bicep' = {
  params: {
    location: location
    tags: tags
    workspaceId: workspaceId
    vaultId: vaultId
    mekName: mekName
  }
}
