import { TokenCreateBody } from './http';
import { PAGE } from './page';
import type { RouteSpec } from './route-spec';
import { SecretCreateBody, SecretRotateBody } from './secrets';
import { TenantCreateBody, TenantUpdateBody } from './tenants';
import { WebhookCreateBody } from './webhooks';

/** Routes for what lets somebody in or something be used: sessions, tenants, tokens, secrets, webhooks. */
export const ACCESS_ROUTES = {
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
  'GET /v1/tokens': {
    summary: 'Tokens, without their secrets, newest first',
    scope: 'operator.admin',
    status: 200,
    query: PAGE,
  },
  'DELETE /v1/tokens/:id': { summary: 'Revoke a token', scope: 'operator.admin', status: 204 },
  'POST /v1/secrets': {
    summary: 'Keep a secret; nothing shows its value again',
    scope: 'operator.admin',
    status: 201,
    body: SecretCreateBody,
    keyed: true,
  },
  'GET /v1/secrets': {
    summary: 'Secrets by their keys, without their values',
    scope: 'operator.admin',
    status: 200,
    query: PAGE,
  },
  'GET /v1/secrets/:key': { summary: 'A secret, without its value', scope: 'operator.admin', status: 200 },
  'POST /v1/secrets/:key/rotate': {
    summary: 'Put another value in the place of the one there is',
    scope: 'operator.admin',
    status: 200,
    body: SecretRotateBody,
    keyed: true,
  },
  'DELETE /v1/secrets/:key': { summary: 'Delete a secret', scope: 'operator.admin', status: 204 },
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
} as const satisfies Record<string, RouteSpec>;
