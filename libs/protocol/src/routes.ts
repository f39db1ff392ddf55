import type { OperatorScope } from './access';
import { ArtifactListQuery, ArtifactUploadQuery } from './artifact';
import { AuditListPayload } from './audit';
import {
  ClaimShareBody,
  ClaimShareQuery,
  ConversationQueueBody,
  OidcLoginQuery,
  ScheduleCreateBody,
  TokenCreateBody,
  TurnCancelBody,
  TurnRedriveBody,
  TurnResolveBody,
  TurnSignalBody,
} from './http';
import { PairingListQuery } from './node-http';
import {
  ApprovalListPayload,
  ApprovalResolveBody,
  ConversationCreatePayload,
  ConversationListPayload,
  MessageSendBody,
  PairingApproveBody,
  PairingReasonBody,
  TurnListPayload,
  WorkflowResumePayload,
  WorkflowStartPayload,
} from './requests';
import { LeaseHistoryPayload, LeaseListPayload } from './lease';
import { TenantCreateBody, TenantUpdateBody } from './tenants';
import type { PayloadClass } from './validate';
import { WebhookCreateBody } from './webhooks';

/** How a query parameter becomes the field of a payload: as it is, as a number, as a flag, as a list (repeated or with commas). */
export type QueryKind = 'text' | 'number' | 'flag' | 'list';

/** The parameters a route takes; with `as` where the payload's field has another name. */
export type QueryFields = Readonly<Record<string, { readonly kind: QueryKind; readonly as?: string }>>;

/** What a route asks of its caller: a scope, any valid token, or nothing at all. */
export type RouteScope = OperatorScope | 'authenticated' | null;

/** One HTTP route: who may call it, and what goes in. What comes out is its entry in `RouteAnswers`. */
export interface RouteSpec {
  readonly summary: string;
  readonly scope: RouteScope;
  readonly status: 200 | 201 | 202 | 204 | 302;
  readonly body?: PayloadClass;
  readonly query?: { readonly payload: PayloadClass; readonly fields: QueryFields };
  /** Whether the body is bytes of any media type, which are streamed. */
  readonly bytes?: boolean;
  /** Whether `Idempotency-Key` makes copies of the request one request. */
  readonly keyed?: boolean;
  /** The media type of the answer where it is not JSON. */
  readonly media?:
    'text/event-stream' | 'application/octet-stream' | 'application/x-ndjson' | 'text/plain' | 'text/html';
}

/** Every HTTP route of an edge. A test holds the controllers to it, and the OpenAPI document is made from it. */
export const ROUTES = {
  'GET /livez': { summary: 'Whether the process lives', scope: null, status: 200 },
  'GET /readyz': { summary: 'Whether the process serves', scope: null, status: 200 },
  'GET /healthz': { summary: 'The same as /readyz', scope: null, status: 200 },
  'GET /metrics': { summary: 'Prometheus text exposition', scope: null, status: 200, media: 'text/plain' },
  'GET /openapi.json': { summary: 'This document', scope: null, status: 200 },
  'GET /asyncapi.json': { summary: 'The WebSocket and its messages', scope: null, status: 200 },
  'POST /v1/workflows': {
    summary: 'Start a workflow; answered after its commit',
    scope: 'operator.write',
    status: 202,
    body: WorkflowStartPayload,
    keyed: true,
  },
  'GET /v1/turns': {
    summary: 'Turns, newest first; with `dead` those given up',
    scope: 'operator.read',
    status: 200,
    query: {
      payload: TurnListPayload,
      fields: { status: { kind: 'list', as: 'statuses' }, limit: { kind: 'number' }, dead: { kind: 'flag' } },
    },
  },
  'GET /v1/turns/:id': {
    summary: 'A turn with its steps and what it waits for',
    scope: 'operator.read',
    status: 200,
  },
  'POST /v1/turns/:id/cancel': {
    summary: 'Cancel a turn',
    scope: 'operator.write',
    status: 200,
    body: TurnCancelBody,
    keyed: true,
  },
  'POST /v1/turns/:id/redrive': {
    summary: 'Bring a dead turn back as a new one',
    scope: 'operator.write',
    status: 202,
    body: TurnRedriveBody,
    keyed: true,
  },
  'POST /v1/turns/:id/resolve': {
    summary: 'Settle a step of unknown outcome',
    scope: 'operator.write',
    status: 200,
    body: TurnResolveBody,
    keyed: true,
  },
  'POST /v1/turns/:id/signals': {
    summary: 'Tell a turn that something it waits for has happened',
    scope: 'operator.write',
    status: 200,
    body: TurnSignalBody,
    keyed: true,
  },
  'GET /v1/conversations': {
    summary: 'Conversations, the last changed first',
    scope: 'operator.read',
    status: 200,
    query: {
      payload: ConversationListPayload,
      fields: {
        agent_key: { kind: 'text' },
        channel: { kind: 'text' },
        cursor: { kind: 'text' },
        limit: { kind: 'number' },
        archived: { kind: 'flag' },
      },
    },
  },
  'POST /v1/conversations': {
    summary: 'Create a conversation',
    scope: 'operator.write',
    status: 201,
    body: ConversationCreatePayload,
    keyed: true,
  },
  'DELETE /v1/conversations/:key': {
    summary: 'Delete a conversation without open turns',
    scope: 'operator.write',
    status: 204,
  },
  'POST /v1/conversations/:key/messages': {
    summary: 'Send a message; the reply streams as events under the `stream_id`',
    scope: 'operator.write',
    status: 202,
    body: MessageSendBody,
    keyed: true,
  },
  'GET /v1/conversations/:key': {
    summary: 'A conversation with its newest messages',
    scope: 'operator.read',
    status: 200,
  },
  'PUT /v1/conversations/:key/queue': {
    summary: 'Set what happens with inputs that come while a turn runs',
    scope: 'operator.write',
    status: 200,
    body: ConversationQueueBody,
    keyed: true,
  },
  'GET /v1/events': {
    summary: "The tenant's events as they come",
    scope: 'operator.read',
    status: 200,
    media: 'text/event-stream',
  },
  'GET /v1/approvals': {
    summary: 'What people are, or were, asked before something happens; newest first',
    scope: 'operator.approvals',
    status: 200,
    query: {
      payload: ApprovalListPayload,
      fields: {
        status: { kind: 'text' },
        kind: { kind: 'list' },
        conversation_key: { kind: 'text' },
        turn_id: { kind: 'text' },
        limit: { kind: 'number' },
        cursor: { kind: 'text' },
      },
    },
  },
  'GET /v1/approvals/:id': { summary: 'An approval', scope: 'operator.approvals', status: 200 },
  'POST /v1/approvals/:id/resolve': {
    summary: 'Approve or deny',
    scope: 'operator.approvals',
    status: 200,
    body: ApprovalResolveBody,
    keyed: true,
  },
  'POST /v1/workflows/resume': {
    summary: 'Bring a paused turn what it waits for',
    scope: 'operator.write',
    status: 200,
    body: WorkflowResumePayload,
  },
  'GET /v1/policy-overrides': {
    summary: 'The standing answers that "always" has made, newest first',
    scope: 'operator.approvals',
    status: 200,
  },
  'DELETE /v1/policy-overrides/:id': {
    summary: 'Ask again from now on',
    scope: 'operator.approvals',
    status: 200,
  },
  'GET /v1/pairings': {
    summary: 'Devices that asked to be nodes, newest first',
    scope: 'operator.pairing',
    status: 200,
    query: { payload: PairingListQuery, fields: { status: { kind: 'list', as: 'statuses' } } },
  },
  'POST /v1/pairings/:pairing/approve': {
    summary: 'Make a device a node, for these capabilities',
    scope: 'operator.pairing',
    status: 200,
    body: PairingApproveBody,
    keyed: true,
  },
  'POST /v1/pairings/:pairing/deny': {
    summary: 'Turn a device away',
    scope: 'operator.pairing',
    status: 200,
    body: PairingReasonBody,
    keyed: true,
  },
  'POST /v1/pairings/:pairing/revoke': {
    summary: 'Take a node its trust',
    scope: 'operator.pairing',
    status: 200,
    body: PairingReasonBody,
    keyed: true,
  },
  'GET /v1/nodes': {
    summary: 'The approved nodes, whether they are connected and what they can do',
    scope: 'operator.read',
    status: 200,
  },
  'GET /v1/presence': {
    summary: 'Who is connected to any edge, the last heard of first',
    scope: 'operator.read',
    status: 200,
  },
  'GET /v1/claim-shares': {
    summary: 'What tenants and agents get of the workers',
    scope: 'operator.admin',
    status: 200,
    query: { payload: ClaimShareQuery, fields: { tenant_id: { kind: 'text' } } },
  },
  'PUT /v1/claim-shares': {
    summary: 'Set what a tenant or an agent gets of the workers',
    scope: 'operator.admin',
    status: 200,
    body: ClaimShareBody,
  },
  'GET /v1/audit': {
    summary: 'What was done in the tenant and by whom, newest first',
    scope: 'operator.admin',
    status: 200,
    query: {
      payload: AuditListPayload,
      fields: {
        type: { kind: 'text' },
        actor: { kind: 'text' },
        subject: { kind: 'text' },
        limit: { kind: 'number' },
        cursor: { kind: 'text' },
      },
    },
  },
  'GET /v1/audit/head': {
    summary: "The end of the tenant's audit chain, signed",
    scope: 'operator.admin',
    status: 200,
  },
  'GET /v1/audit/export': {
    summary: "The tenant's whole audit, for `tyrum audit verify`: a line of JSON each",
    scope: 'operator.admin',
    status: 200,
    media: 'application/x-ndjson',
  },
  'GET /v1/cluster': {
    summary: 'How the deployment is: processes, leases, queues, edges, database',
    scope: 'operator.admin',
    status: 200,
  },
  'GET /v1/leases': {
    summary: 'Who owns what, since when',
    scope: 'operator.read',
    status: 200,
    query: { payload: LeaseListPayload, fields: { kind: { kind: 'text' }, limit: { kind: 'number' } } },
  },
  'GET /v1/leases/:kind/:name/history': {
    summary: 'How a lease changed hands, newest first',
    scope: 'operator.read',
    status: 200,
    query: { payload: LeaseHistoryPayload, fields: { limit: { kind: 'number' } } },
  },
  'GET /oidc/login': {
    summary: 'Begin a session at the OpenID provider; it goes on at `return_to`',
    scope: null,
    status: 302,
    query: { payload: OidcLoginQuery, fields: { return_to: { kind: 'text' } } },
  },
  'GET /oidc/callback': {
    summary: 'Where the OpenID provider sends the browser back to',
    scope: null,
    status: 200,
    media: 'text/html',
  },
  'POST /v1/session': { summary: 'Begin a session with a cookie', scope: 'authenticated', status: 200 },
  'GET /v1/session': { summary: 'Who the caller is', scope: 'authenticated', status: 200 },
  'DELETE /v1/session': { summary: 'End the session with the cookie', scope: 'authenticated', status: 204 },
  'POST /v1/tenants': {
    summary: 'Create a tenant; the token of its first admin is shown this once',
    scope: 'operator.admin',
    status: 201,
    body: TenantCreateBody,
    keyed: true,
  },
  'GET /v1/tenants': { summary: 'Tenants', scope: 'operator.admin', status: 200 },
  'GET /v1/tenants/:id': { summary: 'A tenant', scope: 'operator.admin', status: 200 },
  'PATCH /v1/tenants/:id': {
    summary: 'Set quotas of a tenant, disable or enable it',
    scope: 'operator.admin',
    status: 200,
    body: TenantUpdateBody,
  },
  'POST /v1/tokens': {
    summary: 'Issue a token; it is shown this once',
    scope: 'operator.admin',
    status: 201,
    body: TokenCreateBody,
    keyed: true,
  },
  'GET /v1/tokens': { summary: 'Tokens, without their secrets', scope: 'operator.admin', status: 200 },
  'DELETE /v1/tokens/:id': { summary: 'Revoke a token', scope: 'operator.admin', status: 204 },
  'POST /v1/schedules': {
    summary: 'Create a schedule',
    scope: 'operator.write',
    status: 201,
    body: ScheduleCreateBody,
    keyed: true,
  },
  'GET /v1/schedules': { summary: 'Schedules', scope: 'operator.read', status: 200 },
  'DELETE /v1/schedules/:id': { summary: 'Remove a schedule', scope: 'operator.write', status: 204 },
  'POST /v1/webhooks': {
    summary: 'Create a webhook; its secret is shown this once',
    scope: 'operator.write',
    status: 201,
    body: WebhookCreateBody,
    keyed: true,
  },
  'GET /v1/webhooks': { summary: 'Webhooks', scope: 'operator.read', status: 200 },
  'DELETE /v1/webhooks/:id': { summary: 'Remove a webhook', scope: 'operator.write', status: 204 },
  'POST /v1/webhooks/:id/renew': {
    summary: 'Renew the secret of a webhook',
    scope: 'operator.write',
    status: 200,
    keyed: true,
  },
  'POST /webhooks/:trigger': {
    summary: 'Fire a webhook: the body is signed with its secret (HMAC-SHA256 over `timestamp.nonce.body`)',
    scope: null,
    status: 202,
  },
  'POST /mcp': {
    summary: 'The Model Context Protocol, over streamable HTTP and without sessions',
    scope: 'authenticated',
    status: 200,
    media: 'text/event-stream',
  },
  'POST /v1/artifacts': {
    summary: 'Upload an artifact: the body is its bytes, `Content-Type` what they are',
    scope: 'operator.write',
    status: 201,
    bytes: true,
    query: {
      payload: ArtifactUploadQuery,
      fields: {
        filename: { kind: 'text' },
        kind: { kind: 'text' },
        label: { kind: 'list', as: 'labels' },
        turn_id: { kind: 'text' },
      },
    },
    keyed: true,
  },
  'GET /v1/artifacts/:id': { summary: 'What an artifact is', scope: 'operator.read', status: 200 },
  'GET /v1/artifacts/:id/content': {
    summary: "An artifact's bytes, always as a download; `Range` and conditions are honoured",
    scope: 'operator.read',
    status: 200,
    media: 'application/octet-stream',
  },
  'GET /v1/turns/:id/artifacts': {
    summary: "A turn's artifacts",
    scope: 'operator.read',
    status: 200,
    query: { payload: ArtifactListQuery, fields: { limit: { kind: 'number' } } },
  },
} as const satisfies Readonly<Record<string, RouteSpec>>;
export type Route = keyof typeof ROUTES;
