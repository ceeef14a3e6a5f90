// What somebody must hear of. Rotations speak through the app's event log; what others do to the MEK, through the vault's own
// audit log, which the app cannot silence. Names of the app's telemetry stand in telemetry.json and nowhere else.

import { tagMap } from '../../types.bicep'

param location string
param tags tagMap
param workspaceId string

@description('When the workspace was made, so when Keyturn was first deployed.')
param workspaceCreatedAt string

param vaultId string
param mekName string
param principalId string

@description('Where alerts are mailed; without it they are only shown in the portal.')
param email string

@description('Action groups of your own (PagerDuty, Teams ...) that are called as well.')
param actionGroupIds string[]

@description('Percentage of the vault\'s answers that may be 429 in a quarter of an hour.')
param throttledPercent int

var telemetry = loadJsonContent('telemetry.json')
var events = 'AppTraces | extend event = extract(@"${telemetry.eventPattern}", 1, Message)'
var vaultLog = 'AZKVAuditLogs | where _ResourceId =~ "${vaultId}"'
var mekLog = '${vaultLog} | where extract(@"/(?:deleted)?keys/([^/?]+)", 1, RequestUri) =~ "${mekName}"'
var caller = 'coalesce(tostring(Identity.claim.oid), tostring(Identity.claim["http://schemas.microsoft.com/identity/claims/objectidentifier"]))'
// Not AppRequests: with OpenTelemetry, which functions have rows there depends on host and worker.
// An app that has been logging for less than a day has not come to its first look yet. One that logs nothing at all is silent,
// unless the workspace is younger than a day: then the app may not even have started. A date that cannot be read is an old one.
var scheduleSilent = 'AppTraces | summarize oldest = min(TimeGenerated), seen = countif(Message == "${telemetry.scheduleLine}") | where seen == 0 and coalesce(oldest, todatetime("${workspaceCreatedAt}"), datetime(2000-01-01)) < ago(1d)'

var alerts = [
  {
    name: 'rotation-failed'
    title: 'A rotation or migration failed, or a pre-flight stopped it'
    severity: 1
    window: 'PT15M'
    frequency: 'PT5M'
    query: '${events} | where event in (dynamic(${string(telemetry.events.failed)}))'
  }
  {
    name: 'needs-attention'
    title: 'A rotation or migration waits for a person, or a check found what does not decrypt'
    severity: 2
    window: 'PT15M'
    frequency: 'PT5M'
    query: '${events} | where event in (dynamic(${string(telemetry.events.needsAttention)}))'
  }
  {
    name: 'approval-wanted'
    title: 'A rotation, rollback or restore waits for an approver: now, and with every reminder'
    severity: 2
    window: 'PT15M'
    frequency: 'PT5M'
    query: '${events} | where event in (dynamic(${string(telemetry.events.approvalWanted)}))'
  }
  {
    name: 'reinstated'
    title: 'A retired version was enabled again'
    severity: 1
    window: 'PT15M'
    frequency: 'PT5M'
    query: '${events} | where event in (dynamic(${string(telemetry.events.reinstated)}))'
  }
  {
    name: 'overdue'
    title: 'A rotation is overdue, or nothing has looked at the schedule for two days'
    severity: 2
    window: 'P2D'
    frequency: 'PT1H'
    query: 'union (${events} | where event in (dynamic(${string(telemetry.events.overdue)})) | summarize seen = count() | where seen > 0), (${scheduleSilent})'
  }
  {
    name: 'drift'
    title: 'Rows name versions that nobody can use, or a retired version was enabled'
    severity: 1
    window: 'PT15M'
    frequency: 'PT5M'
    query: '${events} | where event in (dynamic(${string(telemetry.events.drift)}))'
  }
  {
    name: 'throttled'
    title: 'The vault refuses more than ${throttledPercent} % of what it is asked'
    severity: 2
    window: 'PT15M'
    frequency: 'PT5M'
    query: '${vaultLog} | summarize refused = countif(HttpStatusCode == 429), answers = count() | where refused * 100.0 / answers > ${throttledPercent}'
  }
  {
    name: 'retired-version-used'
    title: 'Somebody who may use the MEK was refused: a disabled version is still asked for'
    severity: 1
    window: 'PT15M'
    frequency: 'PT5M'
    query: '${mekLog} | where OperationName in ("KeyUnwrap", "KeyDecrypt", "KeyWrap", "KeyEncrypt") and HttpStatusCode == 403 and IsRbacAuthorized'
  }
  {
    name: 'changed-by-another'
    title: 'Somebody other than Keyturn changed, disabled or deleted the MEK'
    severity: 1
    window: 'PT15M'
    frequency: 'PT5M'
    query: '${mekLog} | where OperationName in ("KeyUpdate", "KeyDelete", "KeyPurge", "KeyCreate", "KeyImport", "KeyRotate", "KeyRotateIfDue", "KeyRotationPolicySet", "KeyRecover") and HttpStatusCode < 300 and ${caller} != "${principalId}"'
  }
]

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'keyturn'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'keyturn'
    enabled: true
    emailReceivers: empty(email) ? [] : [{ name: 'on-call', emailAddress: email, useCommonAlertSchema: true }]
  }
}

// The vault's table exists from its first row on; until then a query that names it would be refused if it were validated.
resource rules 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in alerts: {
    name: 'keyturn-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Keyturn: ${alert.title}'
      enabled: true
      severity: alert.severity
      evaluationFrequency: alert.frequency
      windowSize: alert.window
      autoMitigate: true
      skipQueryValidation: true
      scopes: [workspaceId]
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: concat([mail.id], actionGroupIds)
      }
    }
  }
]
