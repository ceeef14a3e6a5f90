"""The runbook's first two items: encryption is on, by Azure Key Vault, at a URL that is one."""

from urllib.parse import urlsplit

from keyturn.preflight.inquiry import Finding, Inquiry, bad, good

# The hosts of vaults and managed HSMs in Azure's clouds (azure-keyvault's "Azure environments" page), and this machine.
_VAULT_DOMAINS = (
    *(".vault.azure.net", ".managedhsm.azure.net"),
    *(".vault.usgovcloudapi.net", ".managedhsm.usgovcloudapi.net"),
    *(".vault.azure.cn", ".managedhsm.azure.cn"),
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


async def encryption_enabled(inquiry: Inquiry) -> Finding:
    """Fields are encrypted in this environment."""
    if inquiry.keyring.keyring.encryption_enabled:
        return good("FIELD_ENCRYPT_ENABLED is true")
    return bad("FIELD_ENCRYPT_ENABLED is not true", "set it to true where the backend runs, and here")


async def key_provider_is_akv(inquiry: Inquiry) -> Finding:
    """The MEK is a key of Azure Key Vault, not a value in the environment."""
    provider = inquiry.keyring.keyring.key_provider
    if provider == "akv":
        return good("FIELD_ENCRYPT_KEY_PROVIDER is akv")
    return bad(f"FIELD_ENCRYPT_KEY_PROVIDER is {provider}", "only a key in Azure Key Vault has versions: set it to akv")


async def vault_url_set(inquiry: Inquiry) -> Finding:
    """The vault's URL is that of a vault."""
    url = inquiry.keyring.keyring.vault_url
    host = (urlsplit(url).hostname or "").lower()
    if host.endswith(_VAULT_DOMAINS) or host in _LOOPBACK:
        return good(f"AZURE_KEYVAULT_URL is {url}")
    return bad(f"AZURE_KEYVAULT_URL is {url}, no host of Azure Key Vault", "set it to https://<name>.vault.azure.net")
