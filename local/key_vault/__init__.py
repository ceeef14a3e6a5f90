"""The part of Key Vault's REST surface that azure-keyvault-keys uses for RSA keys, with the service's own refusals."""
