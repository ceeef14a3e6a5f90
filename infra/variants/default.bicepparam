// What `azd up` makes with nothing decided: everything new, in a private network, callers known by function keys.
using '../main.bicep'

param environmentName = 'default'
param location = 'westeurope'
