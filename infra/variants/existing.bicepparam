// Vault, MEK and account are there already; people sign in; the scheduler is private too; documents are being encrypted; the
// domain events have a receiver. Every optional right and setting is in this one.
using '../main.bicep'

param environmentName = 'existing'
param location = 'westeurope'
param privateScheduler = true
param existingVaultName = 'kv-notes'
param existingVaultResourceGroup = 'rg-notes'
param drillVaultName = 'kv-notes-drill'
param drillVaultResourceGroup = 'rg-notes'
param mekExists = true
param mekName = 'notelett-mek'
param approvalSecretName = 'notes-approvals'
param approvers = ['5b5450db-eb26-4c1a-981c-ba1d25f0483d']
param channels = ['NOTIFICATION_URLS', 'APPROVER_URLS', 'ON_CALL_URLS']
param notificationUrls = 'json://channels.example.com/everything'
param onCallUrls = 'json://channels.example.com/on-call'
param approverUrls = '5b5450db-eb26-4c1a-981c-ba1d25f0483d=json://channels.example.com/sam?format=text'
param existingCosmosAccountName = 'cosmos-notes'
param existingCosmosResourceGroup = 'rg-notes'
param cosmosDatabase = 'notes'
param dekContainer = 'deks'
param keyring = 'notes'
param documents = [
  { name: 'notes', fields: ['title', 'body'], partitionKey: 'workspaceId' }
  { name: 'authors', fields: ['address/*/street'] }
]
param documentMigrations = true
param healthUrls = ['https://notes.example.com/health']
param probes = [
  {
    url: 'https://notes.example.com/api/notes/1?workspaceId=w1'
    scope: 'api://9c1d0e52-3b7a-4b60-8a4e-2f6f0b7a1c33/.default'
    equals: { id: '1' }
  }
]
param callers = ['203.0.113.0/24']
param access = 'entra'
param entraClientId = 'f3a3b9c4-6c5b-4f0e-9a5d-0d7c6f2b8e11'
param alertEmail = 'oncall@example.com'
param settingOverrides = {
  ACTIONTRAIL_URL: 'https://events.example.com/keyturn'
  KEYTURN_PUBLIC_URL: 'https://keyturn.example.com'
}
