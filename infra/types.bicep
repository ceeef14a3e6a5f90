// The shapes of parameters, and names, that more than one template takes.

@export()
@description('Tags of a resource, by name.')
type tagMap = {
  @description('Value of the tag.')
  *: string
}

@export()
@description('Settings of the app, by name. The platform keeps strings only.')
type settingMap = {
  @description('Value of the setting.')
  *: string
}

@export()
@description('A setting with channels that people are told over, kept in the vault.')
type channelSetting = 'NOTIFICATION_URLS' | 'ON_CALL_URLS' | 'APPROVER_URLS'

@export()
@description('Name of the secret with such a setting.')
func channelSecret(setting channelSetting) string => 'keyturn-${toLower(replace(setting, '_', '-'))}'

@export()
@description('The app\'s JSON of <approver>=<URL>, separated by spaces: azd brings no JSON into a parameter that is a text.')
func approverChannels(pairs string) string =>
  string(toObject(
    filter(split(pairs, ' '), pair => !empty(pair)),
    pair => substring(pair, 0, indexOf(pair, '=')),
    pair => substring(pair, indexOf(pair, '=') + 1)
  ))

@export()
@description('A context that writers bind, by name.')
type contextMap = {
  @description('A text; other JSON values take KEYTURN_DOCUMENTS in settingOverrides.')
  *: string
}

@export()
@sealed()
@description('A container whose documents hold encrypted fields, as keyturn/settings/keyring.py reads it.')
type documentContainer = {
  @description('Name of the container, in the database of the dek store.')
  name: string

  @description('Paths of the encrypted fields: title, author/name, parts/*/text.')
  @minLength(1)
  fields: string[]

  @description('Property that the container is partitioned by; id where it is left out.')
  partitionKey: string?

  @description('False where writers do not state the partition key to field_encrypt; true where it is left out.')
  bindsPartitionKey: bool?

  @description('What writers bind beside the place, by name.')
  context: contextMap?

  @description('Those of the fields that queries compare.')
  deterministic: string[]?
}

@export()
@description('Members of a JSON body, by name.')
type memberMap = {
  @description('A text; other JSON values take KEYTURN_HEALTH_URLS in settingOverrides.')
  *: string
}

@export()
@sealed()
@description('A request that the backend must answer as expected, as HealthProbe in keyturn/settings/keyring.py reads it.')
type healthProbe = {
  @description('URL of the backend; https where headers or a scope are sent.')
  url: string

  @description('GET where it is left out.')
  method: ('GET' | 'HEAD' | 'POST')?

  @description('Name of the app setting that holds its value, by header: a Key Vault reference in settingOverrides.')
  headers: settingMap?

  @description('What the app gets a token for by its own identity, as api://<client id>/.default.')
  scope: string?

  @description('Status that is expected; 200 where it is left out.')
  @minValue(200)
  @maxValue(599)
  status: int?

  @description('Text that the body holds.')
  contains: string?

  @description('What members of the JSON body are, by name; a.b is member b of a.')
  equals: memberMap?
}
