// No private network: the services answer on the public network, behind Entra alone. Nothing is always ready.
using '../main.bicep'

param environmentName = 'public'
param location = 'westeurope'
param access = 'keys'
param privateNetwork = false
param alwaysReadyInstances = 0
