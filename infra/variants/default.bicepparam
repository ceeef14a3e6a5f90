// What `azd up` makes with nothing decided but who is believed: everything new, in a private network, callers known by function keys.
using '../main.bicep'

param environmentName = 'default'
param location = 'westeurope'
param access = 'keys'
