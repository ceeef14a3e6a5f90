// One page to look at while a rotation runs: its events, the app's own metrics, the vault's load and refusals, the functions.

import { tagMap } from '../../types.bicep'

param location string
param tags tagMap
param workspaceId string
param vaultId string
param mekName string

var telemetry = loadJsonContent('telemetry.json')
var template = loadTextContent('workbook.json')
var withEvents = replace(
  replace(template, '{eventPattern}', telemetry.eventPattern),
  '{keyringPattern}',
  telemetry.keyringPattern
)
var page = replace(replace(withEvents, '{vaultId}', vaultId), '{mekName}', mekName)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'keyturn-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Keyturn rotations'
    category: 'workbook'
    version: 'Notebook/1.0'
    sourceId: workspaceId
    serializedData: page
  }
}
