import { randomUUID } from 'node:crypto';
import type {
  Action,
  Approval,
  AuditListResult,
  AuditSeal,
  Cluster,
  DesktopEnvironment,
  DesktopList,
  DesktopResult,
  ArtifactList,
  ArtifactRef,
  Lease,
  LeaseChange,
  ClaimShareView,
  Pairing,
  ProblemDetails,
  Schedule,
  SecretResult,
  SecretView,
  TenantCreated,
  TenantList,
  TenantView,
  TokenCreated,
  TurnDetail,
  TurnListItem,
  WebhookCreated,
  WebhookList,
  WebhookView,
} from '@tyrum/protocol';
import { LIMITS } from '@tyrum/protocol';

/** The edge could not be reached at all. */
export class UnreachableError extends Error {
  constructor(url: string, cause: unknown) {
    super(`no Tyrum edge answers at ${url}: is \`npx nx serve edge\` running?`, { cause });
    this.name = 'UnreachableError';
  }
}

/** The edge refused, and says why. */
export class RefusedError extends Error {
  constructor(
    readonly status: number,
    problem: Partial<ProblemDetails>,
  ) {
    super([problem.detail ?? problem.title ?? `answered ${status}`, ...fieldsOf(problem.errors)].join('\n  '));
    this.name = 'RefusedError';
  }
}

export type TurnAnswer = TurnDetail & { readonly error?: { readonly code: string; readonly message: string } };

export interface Started {
  readonly workflow_run_id: string;
  readonly conversation_key: string;
}

const ATTEMPTS = 5;
const RETRY_MS = 300;

/** The edge's HTTP interface, as far as the command line uses it. */
export class EdgeApi {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  /** Sent again under the same key when there was no answer: however often it arrives, one turn is started. */
  async start(
    conversationKey: string,
    steps: readonly Action[],
    idempotencyKey: string = randomUUID(),
  ): Promise<Started> {
    const body = { conversation_key: conversationKey, steps };
    return (await this.call('POST', '/v1/workflows', {
      body,
      headers: { 'idempotency-key': idempotencyKey },
      again: true,
    })) as Started;
  }

  async turn(turnId: string): Promise<TurnAnswer> {
    return (await this.call('GET', `/v1/turns/${encodeURIComponent(turnId)}`, { again: true })) as TurnAnswer;
  }

  /** As many of the newest turns as are wanted. */
  turns({ limit, ...filter }: { status?: string; dead?: string; limit: number }): Promise<TurnListItem[]> {
    return this.list('/v1/turns', 'turns', filter, limit);
  }

  cancel(turnId: string, reason?: string): Promise<unknown> {
    return this.call('POST', `/v1/turns/${encodeURIComponent(turnId)}/cancel`, {
      body: reason === undefined ? {} : { reason },
    });
  }

  resolve(turnId: string, decision: string, reason?: string): Promise<unknown> {
    const body = { decision, ...(reason === undefined ? {} : { reason }) };
    return this.call('POST', `/v1/turns/${encodeURIComponent(turnId)}/resolve`, { body });
  }

  redrive(turnId: string, decision?: string): Promise<unknown> {
    const body = decision === undefined ? {} : { decision };
    return this.call('POST', `/v1/turns/${encodeURIComponent(turnId)}/redrive`, { body });
  }

  signal(turnId: string, name: string, result?: object): Promise<unknown> {
    const body = { name, ...(result === undefined ? {} : { result }) };
    return this.call('POST', `/v1/turns/${encodeURIComponent(turnId)}/signals`, { body });
  }

  async claimShares(tenantId?: string): Promise<ClaimShareView[]> {
    const query = tenantId === undefined ? '' : `?tenant_id=${encodeURIComponent(tenantId)}`;
    return ((await this.call('GET', `/v1/claim-shares${query}`)) as { shares: ClaimShareView[] }).shares;
  }

  async setClaimShare(body: object): Promise<ClaimShareView> {
    return (await this.call('PUT', '/v1/claim-shares', { body })) as ClaimShareView;
  }

  async createToken(body: object): Promise<TokenCreated> {
    return (await this.call('POST', '/v1/tokens', { body })) as TokenCreated;
  }

  tokens(): Promise<Omit<TokenCreated, 'token'>[]> {
    return this.list('/v1/tokens', 'tokens');
  }

  async createSchedule(body: object): Promise<Schedule> {
    return (await this.call('POST', '/v1/schedules', { body })) as Schedule;
  }

  async schedules(): Promise<Schedule[]> {
    return ((await this.call('GET', '/v1/schedules')) as { schedules: Schedule[] }).schedules;
  }

  leases(kind?: string): Promise<Lease[]> {
    return this.list('/v1/leases', 'leases', { kind });
  }

  leaseHistory(kind: string, name: string): Promise<LeaseChange[]> {
    return this.list(`/v1/leases/${encodeURIComponent(kind)}/${encodeURIComponent(name)}/history`, 'history');
  }

  async createTenant(body: object): Promise<TenantCreated> {
    return (await this.call('POST', '/v1/tenants', { body })) as TenantCreated;
  }

  async tenants(): Promise<TenantView[]> {
    return ((await this.call('GET', '/v1/tenants')) as TenantList).tenants;
  }

  async updateTenant(id: string, body: object): Promise<TenantView> {
    return (await this.call('PATCH', `/v1/tenants/${encodeURIComponent(id)}`, { body })) as TenantView;
  }

  async createWebhook(body: object): Promise<WebhookCreated> {
    return (await this.call('POST', '/v1/webhooks', { body })) as WebhookCreated;
  }

  async webhooks(): Promise<WebhookView[]> {
    return ((await this.call('GET', '/v1/webhooks', { again: true })) as WebhookList).webhooks;
  }

  async rotateWebhook(triggerId: string): Promise<WebhookCreated> {
    return (await this.call('POST', `/v1/webhooks/${encodeURIComponent(triggerId)}/renew`)) as WebhookCreated;
  }

  async createDesktop(body: object): Promise<DesktopEnvironment> {
    return ((await this.call('POST', '/v1/desktop-environments', { body })) as DesktopResult).environment;
  }

  async desktops(): Promise<DesktopEnvironment[]> {
    return ((await this.call('GET', '/v1/desktop-environments')) as DesktopList).environments;
  }

  async tellDesktop(id: string, what: 'start' | 'stop' | 'move', body: object = {}): Promise<DesktopEnvironment> {
    const path = `/v1/desktop-environments/${encodeURIComponent(id)}/${what}`;
    return ((await this.call('POST', path, { body })) as DesktopResult).environment;
  }

  async createSecret(body: object): Promise<SecretView> {
    return ((await this.call('POST', '/v1/secrets', { body })) as SecretResult).secret;
  }

  async rotateSecret(key: string, body: object): Promise<SecretView> {
    return ((await this.call('POST', `/v1/secrets/${encodeURIComponent(key)}/rotate`, { body })) as SecretResult)
      .secret;
  }

  secrets(): Promise<SecretView[]> {
    return this.list('/v1/secrets', 'secrets');
  }

  remove(kind: 'tokens' | 'schedules' | 'webhooks' | 'secrets' | 'desktop-environments', id: string): Promise<unknown> {
    return this.call('DELETE', `/v1/${kind}/${encodeURIComponent(id)}`);
  }

  approvals(query: { status?: string }): Promise<Approval[]> {
    return this.list('/v1/approvals', 'approvals', query);
  }

  resolveApproval(id: string, body: object): Promise<unknown> {
    return this.call('POST', `/v1/approvals/${encodeURIComponent(id)}/resolve`, { body });
  }

  pairings(): Promise<Pairing[]> {
    return this.list('/v1/pairings', 'pairings');
  }

  decidePairing(id: string, verb: 'approve' | 'deny' | 'revoke', body: object): Promise<unknown> {
    return this.call('POST', `/v1/pairings/${encodeURIComponent(id)}/${verb}`, { body });
  }

  async audit(query: Record<string, string>): Promise<AuditListResult> {
    const search = new URLSearchParams(query).toString();
    return (await this.call('GET', `/v1/audit?${search}`, { again: true })) as AuditListResult;
  }

  async cluster(): Promise<Cluster> {
    return (await this.call('GET', '/v1/cluster', { again: true })) as Cluster;
  }

  async auditHead(): Promise<AuditSeal> {
    return (await this.call('GET', '/v1/audit/head', { again: true })) as AuditSeal;
  }

  auditExport(): Promise<Response> {
    return this.stream('/v1/audit/export', {});
  }

  async artifacts(turnId: string): Promise<ArtifactRef[]> {
    const path = `/v1/turns/${encodeURIComponent(turnId)}/artifacts`;
    return ((await this.call('GET', path, { again: true })) as ArtifactList).artifacts;
  }

  async artifact(id: string): Promise<ArtifactRef> {
    return (await this.call('GET', `/v1/artifacts/${encodeURIComponent(id)}`, { again: true })) as ArtifactRef;
  }

  /** Uploads bytes as they come. `query`: what the artifact is; the same key and bytes again are the same artifact. */
  async putArtifact(
    bytes: ReadableStream,
    query: URLSearchParams,
    headers: Record<string, string>,
  ): Promise<ArtifactRef> {
    const init = { method: 'POST', headers, body: bytes, duplex: 'half' } as RequestInit;
    return (await (await this.stream(`/v1/artifacts?${query.toString()}`, init)).json()) as ArtifactRef;
  }

  /** An artifact's bytes, as they come. */
  artifactBytes(id: string, headers: Record<string, string>): Promise<Response> {
    return this.stream(`/v1/artifacts/${encodeURIComponent(id)}/content`, { headers });
  }

  /** A list, page by page, up to `limit` items of it. `name`: what holds them in the answer. */
  private async list<T>(
    path: string,
    name: string,
    query: Readonly<Record<string, string | undefined>> = {},
    limit = Infinity,
  ): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const page = { limit: String(Math.min(limit - items.length, LIMITS.turnListMax)), cursor };
      const given = Object.entries({ ...query, ...page }).filter((entry): entry is [string, string] => !!entry[1]);
      const search = new URLSearchParams(given).toString();
      const answer = await this.call('GET', `${path}?${search}`, { again: true });
      items.push(...((answer as Record<string, T[]>)[name] ?? []));
      cursor = (answer as { next_cursor?: string }).next_cursor;
    } while (cursor !== undefined && items.length < limit);
    return items;
  }

  private async stream(path: string, init: RequestInit): Promise<Response> {
    const headers = { authorization: `Bearer ${this.token}`, ...(init.headers as Record<string, string>) };
    const answer = await this.fetch(path, { ...init, headers });
    if (answer.ok) return answer;
    throw new RefusedError(answer.status, (await answer.json().catch(() => ({}))) as object);
  }

  /** `/readyz`: never refused, since "not ready" is an answer. */
  async ready(): Promise<{ status: string; checks: { name: string; ok: boolean; error?: string }[] }> {
    const answer = await this.fetch('/readyz', { method: 'GET' });
    return (await answer.json()) as { status: string; checks: { name: string; ok: boolean; error?: string }[] };
  }

  private async call(
    method: string,
    path: string,
    options: { body?: object; headers?: Record<string, string>; again?: boolean } = {},
  ): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      const last = !options.again || attempt === ATTEMPTS;
      try {
        const answer = await this.fetch(path, {
          method,
          headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json', ...options.headers },
          ...(options.body ? { body: JSON.stringify(options.body) } : {}),
        });
        if (answer.ok) return answer.status === 204 ? undefined : await answer.json();
        // A 409 that says when to ask again: an earlier try is still being carried out.
        const isLater = answer.status === 503 || (answer.status === 409 && answer.headers.has('retry-after'));
        if (!isLater || last) throw new RefusedError(answer.status, (await answer.json().catch(() => ({}))) as object);
      } catch (error) {
        if (error instanceof RefusedError || last) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS * attempt));
    }
  }

  private async fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(new URL(path, this.url), init);
    } catch (error) {
      throw new UnreachableError(this.url, error);
    }
  }
}

/** The fields a refusal names, one a line. */
function fieldsOf(details: unknown): string[] {
  if (!Array.isArray(details)) return [];
  return (details as { field?: string; message?: string; rule?: string }[]).map(
    ({ field, message, rule }) => `${field}: ${message ?? rule}`,
  );
}
