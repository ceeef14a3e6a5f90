// People sign in, and yet any name in a body would be believed.
using '../main.bicep'

param environmentName = 'refused'
param location = 'westeurope'
param access = 'keys'
param entraClientId = 'f3a3b9c4-6c5b-4f0e-9a5d-0d7c6f2b8e11'
