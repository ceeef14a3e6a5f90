// Keyturn, from an empty subscription to a running app: `azd up`. Private by default; what exists already can be named.
// At subscription scope there is the resource group and nothing else.
targetScope = 'subscription'

import { approverChannels, channelSecret, channelSetting, documentContainer, healthProbe, settingMap, tagMap } from 'types.bicep'

@minLength(1)
@maxLength(40)
@description('Name of the environment; part of the resource group\'s name.')
param environmentName string

@description('Region of everything that is made.')
@minLength(1)
param location string

@description('Services answer on private endpoints only, and the app calls them through a network of its own.')
param privateNetwork bool = true
@description('The scheduler answers on a private endpoint only, too. Azure may ask for enrolment first: docs/deploy.md.')
param privateScheduler bool = false
@description('Address range of the app\'s network.')
param networkAddressPrefix string = '10.42.0.0/24'
@description('Address range that the app calls out from.')
param appSubnetPrefix string = '10.42.0.0/26'
@description('Address range of the private endpoints.')
param endpointSubnetPrefix string = '10.42.0.64/26'

@description('Vault that exists; empty for a new one.')
param existingVaultName string = ''
@description('Resource group of the existing vault.')
param existingVaultResourceGroup string = ''

@description('Vault without purge protection, and without this MEK, in which a key backup is tried every month; empty for no drills.')
param drillVaultName string = ''
@description('Resource group of the drill vault.')
param drillVaultResourceGroup string = ''

@description('The MEK is in the existing vault already.')
param mekExists bool = false
@description('Name of the MEK.')
param mekName string = 'mek'

@minLength(1)
@description('Secret of the vault with the approval webhook\'s secrets; made where the vault has none of this name.')
param approvalSecretName string = 'approval-webhook'
@description('Who may decide on a run, beside its requester: object ids where people sign in, else names.')
param approvers string[] = []

@description('Which settings with channels are in the vault: NOTIFICATION_URLS, ON_CALL_URLS, APPROVER_URLS.')
param channels channelSetting[] = []
@description('Of them, channels that are told everything: apprise URLs, separated by spaces; empty for what the vault has.')
@secure()
param notificationUrls string = ''
@description('Channels that are told what is urgent, the same way.')
@secure()
param onCallUrls string = ''
@description('A channel for each approver, <approver>=<apprise URL>, separated by spaces; empty for what the vault has.')
@secure()
param approverUrls string = ''

@description('Cosmos DB account that exists, with its database and dek store; empty for a new one.')
param existingCosmosAccountName string = ''
@description('Resource group of the existing Cosmos DB account.')
param existingCosmosResourceGroup string = ''
@description('Database of the dek store, the records and the documents.')
param cosmosDatabase string = 'app'
@description('Container of the dek store.')
param dekContainer string = 'dek_store'

@description('Partition key path of a new dek store.')
param dekPartitionKey string = '/id'

@description('Autoscale maximum of a new dek store, RU/s.')
@minValue(1000)
param dekMaxThroughput int = 1000

@description('Autoscale maximum of the container keyturn, RU/s; 0 where account or database provide.')
param recordsMaxThroughput int = 1000

@description('Name of the keyring: part of every rotation id.')
param keyring string = 'default'

@description('Containers with encrypted documents: {name, fields, partitionKey}.')
param documents documentContainer[] = []
@description('Let the app change documents and create DEKs: true only while documents are encrypted or re-encrypted.')
param documentMigrations bool = false

@description('URLs of the backend that must answer 200 while a rotation runs.')
param healthUrls string[] = []
@description('Requests of which more is said than a URL: headers, a token, what is expected.')
param probes healthProbe[] = []

@description('When a rotation is due: NCRONTAB, UTC.')
param rotationSchedule string = '0 0 3 1 * *'
@description('How often the schedule is looked at: NCRONTAB, UTC.')
param scheduleTick string = '0 0 5 * * *'

@description('Further settings by name, as README.md lists them.')
param settingOverrides settingMap = {}

@description('Plan of the Durable Task Scheduler.')
@allowed(['Consumption', 'Dedicated'])
param schedulerSku string = 'Consumption'

@description('Redundancy of the host\'s storage: a region without availability zones takes Standard_LRS.')
@allowed(['Standard_ZRS', 'Standard_LRS'])
param storageSku string = 'Standard_ZRS'

@description('One instance holds a whole window of pages; the others are for HTTP, the timer and replacement.')
@minValue(1)
@maxValue(100)
param maximumInstanceCount int = 4

@description('Instances for workflows that are always there, and always billed; with 0 the platform must wake the app for each timer.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int = 1

@description('Address ranges that may call the app; empty for all.')
param callers string[] = []

@description('Who is believed: entra, the people that Entra ID signs in; keys, any holder of a function key, under any name.')
@allowed(['entra', 'keys'])
param access string
@description('Client id of the app registration that signs callers in: with entra, and only then.')
param entraClientId string = ''

@description('Where alerts are mailed.')
param alertEmail string = ''
@description('Ids of action groups that alerts call as well.')
param actionGroupIds string[] = []

@description('Alert when more than this percentage of the vault\'s answers is 429.')
param throttledPercent int = 5
@description('Days that logs are kept.')
param logRetentionDays int = 90

var tags tagMap = { 'azd-env-name': environmentName }
var token = uniqueString(subscription().id, environmentName, location)
// Names of role assignments are made of this one: the principal's id is known only while deploying, and what-if would show none.
var identityName = 'id-keyturn-${token}'
var groupName = 'rg-keyturn-${environmentName}'
var newVault = empty(existingVaultName)
var vaultName = newVault ? 'kv-${token}' : existingVaultName
var newCosmos = empty(existingCosmosAccountName)

// A client id that is missing must not turn into belief in everybody, nor the other setting into disbelief in a sign-in.
var checkedAccess = (access == 'entra') == empty(entraClientId)
  ? fail('access: entra needs entraClientId, keys must not have it')
  : access

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: identityName
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring/workspace.bicep' = {
  scope: group
  params: {
    workspaceName: 'log-${token}'
    insightsName: 'appi-${token}'
    location: location
    tags: tags
    identityName: identityName
    principalId: identity.outputs.principalId
    retentionInDays: logRetentionDays
  }
}

module host 'modules/host.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    identityName: identityName
    principalId: identity.outputs.principalId
    privateNetwork: privateNetwork
    privateScheduler: privateNetwork && privateScheduler
    schedulerSku: schedulerSku
    storageSku: storageSku
  }
}

module keyVault 'modules/key_vault/main.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    identityName: identityName
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    newVault: newVault
    vaultName: vaultName
    vaultResourceGroup: newVault ? groupName : existingVaultResourceGroup
    mekExists: mekExists
    mekName: mekName
    approvalSecretName: approvalSecretName
    channels: channels
    notificationUrls: notificationUrls
    onCallUrls: onCallUrls
    approverUrls: empty(approverUrls) ? '' : approverChannels(approverUrls)
    privateNetwork: privateNetwork
  }
}

module drillRole 'modules/key_vault/drill_role.bicep' = if (!empty(drillVaultName)) {
  scope: resourceGroup(drillVaultResourceGroup)
}

module drillAccess 'modules/key_vault/drill_access.bicep' = if (!empty(drillVaultName)) {
  scope: resourceGroup(drillVaultResourceGroup)
  params: {
    vaultName: drillVaultName
    identityName: identityName
    principalId: identity.outputs.principalId
  }
  // Azure learns of a role some time after it has said that it made it.
  dependsOn: [drillRole, keyVault]
}

module cosmos 'modules/cosmos/main.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    identityName: identityName
    principalId: identity.outputs.principalId
    newAccount: newCosmos
    accountName: newCosmos ? 'cosmos-${token}' : existingCosmosAccountName
    accountResourceGroup: newCosmos ? groupName : existingCosmosResourceGroup
    databaseName: cosmosDatabase
    dekContainer: dekContainer
    dekPartitionKey: dekPartitionKey
    dekMaxThroughput: dekMaxThroughput
    recordsMaxThroughput: recordsMaxThroughput
    documentContainers: documents
    documentMigrations: documentMigrations
    privateNetwork: privateNetwork
  }
}

module network 'modules/network/main.bicep' = if (privateNetwork) {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    addressPrefix: networkAddressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    storageId: host.outputs.storageId
    vaultId: keyVault.outputs.id
    cosmosId: cosmos.outputs.id
    schedulerId: host.outputs.schedulerId
    privateScheduler: privateScheduler
  }
}

module watch 'modules/monitoring/watch.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    workspaceCreatedAt: monitoring.outputs.createdAt
    vaultId: keyVault.outputs.id
    mekName: mekName
    principalId: identity.outputs.principalId
    email: alertEmail
    actionGroupIds: actionGroupIds
    throttledPercent: throttledPercent
  }
}

// What the app and host.json read; README.md lists what is left to settingOverrides.
var settings = {
  FIELD_ENCRYPT_ENABLED: 'true'
  FIELD_ENCRYPT_KEY_PROVIDER: 'akv'
  FIELD_ENCRYPT_MEK_NAME: mekName
  AZURE_KEYVAULT_URL: keyVault.outputs.url
  COSMOS_ENDPOINT: cosmos.outputs.endpoint
  COSMOS_DATABASE: cosmosDatabase
  DEK_CONTAINER: dekContainer
  KEYTURN_CONTAINER: cosmos.outputs.recordsContainer
  KEYTURN_COSMOS_RESOURCE_ID: cosmos.outputs.id
  KEYTURN_KEYRING: keyring
  KEYTURN_DOCUMENTS: string(documents)
  KEYTURN_HEALTH_URLS: string(concat(healthUrls, probes))
  KEYTURN_ACCESS: checkedAccess
  KEYTURN_APPROVERS: string(approvers)
  ROTATION_SCHEDULE: rotationSchedule
  SCHEDULE_TICK: scheduleTick
  OUTBOX_TICK: '*/30 * * * * *'
  TASKHUB_NAME: host.outputs.taskHubName
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${host.outputs.schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${identity.outputs.clientId}'
}
var secrets = concat(
  [{ setting: 'APPROVAL_WEBHOOK_SECRETS', name: approvalSecretName }],
  map(channels, setting => { setting: setting, name: channelSecret(setting) })
)
var secretSettings = toObject(
  secrets,
  secret => secret.setting,
  secret => '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${secret.name})'
)
// Without a receiver the outbox's timer would wake the app every 30 seconds to do nothing, and be billed for it.
var outboxSettings = !empty(settingOverrides.?ACTIONTRAIL_URL)
  ? {}
  : { 'AzureWebJobs.deliver_domain_events.Disabled': 'true' }
var drillSettings = empty(drillVaultName) ? {} : { KEYTURN_KEY_BACKUP_DRILL_VAULT_URL: drillAccess!.outputs.vaultUrl }

module app 'modules/app/function_app.bicep' = {
  scope: group
  params: {
    name: 'func-keyturn-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    packageUrl: host.outputs.packageUrl
    blobEndpoint: host.outputs.blobEndpoint
    insightsConnectionString: monitoring.outputs.connectionString
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    settings: union(settings, secretSettings, drillSettings, outboxSettings, settingOverrides)
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    callers: callers
    entraClientId: entraClientId
  }
}

// Settings by the names that the app reads them by, so that `azd env get-values` is what a command line on a desk needs.
output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output SERVICE_API_NAME string = app.outputs.name
output KEYTURN_URL string = app.outputs.url
output KEYTURN_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output AZURE_KEYVAULT_URL string = keyVault.outputs.url
output FIELD_ENCRYPT_MEK_NAME string = mekName
output COSMOS_ENDPOINT string = cosmos.outputs.endpoint
output COSMOS_DATABASE string = cosmosDatabase
output DEK_CONTAINER string = dekContainer
output KEYTURN_CONTAINER string = cosmos.outputs.recordsContainer
output KEYTURN_COSMOS_RESOURCE_ID string = cosmos.outputs.id
output KEYTURN_KEYRING string = keyring
output KEYTURN_ACCESS string = checkedAccess
output KEYTURN_ENTRA_CLIENT_ID string = entraClientId
output KEYTURN_APPROVAL_SECRET_NAME string = approvalSecretName
output TASKHUB_NAME string = host.outputs.taskHubName
output DURABLE_TASK_SCHEDULER_ENDPOINT string = host.outputs.schedulerEndpoint
