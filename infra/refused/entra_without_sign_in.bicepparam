// A client id that was lost must not open the app to every holder of a function key.
using '../main.bicep'

param environmentName = 'refused'
param location = 'westeurope'
param access = 'entra'
