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
param approvalSecretName = 'approval-webhook'
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
param callers = ['203.0.113.0/24']
param access = 'entra'
param entraClientId = 'f3a3b9c4-6c5b-4f0e-9a5d-0d7c6f2b8e11'
param alertEmail = 'oncall@example.com'
param settingOverrides = {
  ACTIONTRAIL_URL: 'https://events.example.com/keyturn'
  KEYTURN_PUBLIC_URL: 'https://keyturn.example.com'
}
