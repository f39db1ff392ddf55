import type {
  ClaimShareList,
  ClaimShareView,
  OidcOffer,
  Readiness,
  Schedule,
  ScheduleList,
  Session,
  TokenCreated,
  TokenList,
  TurnCancelled,
  TurnRedriven,
  TurnResolved,
  TurnSignalled,
} from './http';
import type { NodeList, PairingList, PresenceList } from './node-http';
import type { ArtifactList, ArtifactRef } from './artifact';
import type { ApprovalShown, OverrideList, OverrideRevoked } from './approval';
import type {
  ApprovalListResult,
  ApprovalResolveResult,
  ConversationListResult,
  ConversationResult,
  StreamResult,
  TurnListResult,
  PairingResult,
  WorkflowResumeResult,
  WorkflowStartResult,
} from './requests';
import type { AuditListResult, AuditSeal } from './audit';
import type { Cluster } from './cluster';
import type { LeaseHistoryResult, LeaseListResult } from './lease';
import type { DesktopList, DesktopResult } from './desktops';
import type { SecretList, SecretResult } from './secrets';
import type { TenantCreated, TenantList, TenantView } from './tenants';
import type { TurnDetail } from './turn';
import type { WebhookCreated, WebhookFired, WebhookList } from './webhooks';

/** What each route answers; `undefined` = no JSON. */
export interface RouteAnswers {
  'GET /livez': { status: 'live' };
  'GET /readyz': Readiness;
  'GET /healthz': Readiness;
  'GET /metrics': undefined;
  'GET /openapi.json': { openapi: string; [field: string]: unknown };
  'GET /asyncapi.json': { asyncapi: string; [field: string]: unknown };
  'POST /v1/workflows': WorkflowStartResult;
  'GET /v1/turns': TurnListResult;
  'GET /v1/turns/:id': TurnDetail;
  'POST /v1/turns/:id/cancel': TurnCancelled;
  'POST /v1/turns/:id/redrive': TurnRedriven;
  'POST /v1/turns/:id/resolve': TurnResolved;
  'POST /v1/turns/:id/signals': TurnSignalled;
  'GET /v1/conversations': ConversationListResult;
  'POST /v1/conversations': ConversationResult;
  'DELETE /v1/conversations/:key': undefined;
  'POST /v1/conversations/:key/messages': StreamResult;
  'GET /v1/conversations/:key': ConversationResult;
  'PUT /v1/conversations/:key/queue': ConversationResult;
  'GET /v1/events': undefined;
  'GET /v1/approvals': ApprovalListResult;
  'GET /v1/approvals/:id': ApprovalShown;
  'POST /v1/approvals/:id/resolve': ApprovalResolveResult;
  'POST /v1/workflows/resume': WorkflowResumeResult;
  'GET /v1/policy-overrides': OverrideList;
  'DELETE /v1/policy-overrides/:id': OverrideRevoked;
  'GET /v1/pairings': PairingList;
  'POST /v1/pairings/:pairing/approve': PairingResult;
  'POST /v1/pairings/:pairing/deny': PairingResult;
  'POST /v1/pairings/:pairing/revoke': PairingResult;
  'GET /v1/nodes': NodeList;
  'GET /v1/presence': PresenceList;
  'GET /v1/claim-shares': ClaimShareList;
  'PUT /v1/claim-shares': ClaimShareView;
  'GET /v1/audit': AuditListResult;
  'GET /v1/audit/head': AuditSeal;
  'GET /v1/audit/export': undefined;
  'GET /v1/cluster': Cluster;
  'GET /v1/leases': LeaseListResult;
  'GET /v1/leases/:kind/:name/history': LeaseHistoryResult;
  'GET /oidc': OidcOffer;
  'GET /oidc/login': undefined;
  'GET /oidc/callback': undefined;
  'POST /v1/session': Session;
  'GET /v1/session': Session;
  'DELETE /v1/session': undefined;
  'POST /v1/tenants': TenantCreated;
  'GET /v1/tenants': TenantList;
  'GET /v1/tenants/:id': TenantView;
  'PATCH /v1/tenants/:id': TenantView;
  'POST /v1/tokens': TokenCreated;
  'GET /v1/tokens': TokenList;
  'DELETE /v1/tokens/:id': undefined;
  'POST /v1/schedules': Schedule;
  'GET /v1/schedules': ScheduleList;
  'DELETE /v1/schedules/:id': undefined;
  'POST /v1/secrets': SecretResult;
  'GET /v1/secrets': SecretList;
  'GET /v1/secrets/:key': SecretResult;
  'POST /v1/secrets/:key/rotate': SecretResult;
  'DELETE /v1/secrets/:key': undefined;
  'POST /v1/desktop-environments': DesktopResult;
  'GET /v1/desktop-environments': DesktopList;
  'GET /v1/desktop-environments/:id': DesktopResult;
  'POST /v1/desktop-environments/:id/start': DesktopResult;
  'POST /v1/desktop-environments/:id/stop': DesktopResult;
  'POST /v1/desktop-environments/:id/move': DesktopResult;
  'DELETE /v1/desktop-environments/:id': undefined;
  'POST /v1/webhooks': WebhookCreated;
  'GET /v1/webhooks': WebhookList;
  'DELETE /v1/webhooks/:id': undefined;
  'POST /v1/webhooks/:id/renew': WebhookCreated;
  'POST /webhooks/:trigger': WebhookFired;
  'POST /mcp': undefined;
  'POST /v1/artifacts': ArtifactRef;
  'GET /v1/artifacts/:id': ArtifactRef;
  'GET /v1/artifacts/:id/content': undefined;
  'GET /v1/turns/:id/artifacts': ArtifactList;
}
