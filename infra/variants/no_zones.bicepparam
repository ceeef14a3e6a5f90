// An existing vault, in which the MEK is yet to be made, and a region that has no availability zones.
using '../main.bicep'

param environmentName = 'no-zones'
param location = 'westus'
param access = 'keys'
param existingVaultName = 'kv-west'
param existingVaultResourceGroup = 'rg-west'
param storageSku = 'Standard_LRS'
