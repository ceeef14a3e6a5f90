// The dek store is in a serverless account, which takes no throughput; vault and MEK are new.
using '../main.bicep'

param environmentName = 'serverless'
param location = 'westeurope'
param access = 'keys'
param existingCosmosAccountName = 'cosmos-serverless'
param existingCosmosResourceGroup = 'rg-serverless'
param recordsMaxThroughput = 0
