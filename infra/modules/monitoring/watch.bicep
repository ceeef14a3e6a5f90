// What people look at and are called by: the alerts and the workbook.

param location string
param tags object
param workspaceId string
param vaultId string
param mekName string
param principalId string
param email string
param actionGroupIds array
param throttledPercent int

module alerts 'alerts.bicep' = {
  name: 'keyturn-alerts'
  params: {
    location: location
    tags: tags
    workspaceId: workspaceId
    vaultId: vaultId
    mekName: mekName
    principalId: principalId
    email: email
    actionGroupIds: actionGroupIds
    throttledPercent: throttledPercent
  }
}

module workbook 'workbook.bicep' = {
  name: 'keyturn-workbook'
  params: {
    location: location
    tags: tags
    workspaceId: workspaceId
    vaultId: vaultId
    mekName: mekName
  }
}
