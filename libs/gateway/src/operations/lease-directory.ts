import { conversationLease, type LeaseHistoryRow, type LeaseName, type LeaseRow, type Leases } from '@tyrum/leases';
import type { Lease, LeaseChange, LeaseHistoryResult, PageQuery } from '@tyrum/protocol';
import { describeToken, type StateStore } from '@tyrum/statestore';
import type { ConversationLeaseRow, ConversationStore } from '@tyrum/statestore/turns';
import { notFound } from '../failures';
import { BY_NUMBER, readPage } from './list-cursor';

const CONVERSATION = 'conversation';

/** Which leases are asked for: a kind or all, of the tenant's `own` and of those that belong to none. */
export interface LeaseFilter {
  readonly tenantId: string;
  readonly kind: string | undefined;
  readonly own: boolean;
  readonly others: boolean;
}

export interface LeasePage {
  readonly limit: number;
  /** The last one of the page before. */
  readonly after?: LeaseName;
}

/** Who owns what, and how it changed hands. Conversations are a tenant's; shards, seats and hosts are the deployment's. */
export class LeaseDirectory {
  constructor(
    private readonly store: StateStore,
    private readonly conversations: ConversationStore,
    private readonly leases: Leases,
  ) {}

  /** Whether leases of this kind belong to tenants. */
  isOfTenants(kind: string): boolean {
    return kind === CONVERSATION;
  }

  /** The tenant's conversations under a lease, then those that belong to no tenant, by kind and name. */
  async list({ tenantId, kind, own, others }: LeaseFilter, { limit, after }: LeasePage): Promise<Lease[]> {
    const leases: Lease[] = [];
    const isBehind = after !== undefined && !this.isOfTenants(after.kind);
    if (own && !isBehind) {
      const page = { limit, ...(after ? { after: after.name } : {}) };
      const rows = await this.store.read((db) => this.conversations.leases(db, tenantId, page));
      leases.push(...rows.map(conversationView));
    }
    if (others && leases.length < limit) {
      const page = { limit: limit - leases.length, ...(isBehind ? { after } : {}) };
      leases.push(...(await this.ofDeployment(kind, page)));
    }
    return leases;
  }

  /** What belongs to no tenant. */
  async ofDeployment(kind: string | undefined, page: LeasePage): Promise<Lease[]> {
    return (await this.leases.list(kind, page)).map(view);
  }

  /** Newest first. @throws {WireError} not_found, when there is no such lease for that tenant */
  async history(tenantId: string, { kind, name }: LeaseName, query: PageQuery): Promise<LeaseHistoryResult> {
    const ref = { tenantId, conversationKey: name };
    const isOwn = this.isOfTenants(kind);
    if (isOwn && !(await this.store.read((db) => this.conversations.find(db, ref)))) throw notFound('lease');
    const lease = isOwn ? conversationLease(ref) : { kind, name };
    const { rows, next } = await readPage(query, BY_NUMBER, {
      read: ({ limit, after }) => this.leases.history(lease, limit, after),
      placeOf: ({ id }) => id,
    });
    // Retention takes the history of a lease that has not changed hands for long.
    const isKnown = isOwn || rows.length > 0 || (await this.leases.list(kind)).some((known) => known.name === name);
    if (!isKnown) throw notFound('lease');
    return { history: rows.map(changeView), ...next };
  }
}

function conversationView(row: ConversationLeaseRow): Lease {
  return {
    kind: CONVERSATION,
    name: row.conversation_key,
    owner: row.lease_owner,
    token: describeToken(row.lease_token),
    held: row.held,
    since: row.leased_at === null ? null : time(row.leased_at),
    expires_at: time(row.expires_at),
    takeovers: row.takeovers,
  };
}

function view({ kind, name, owner, token, held, acquired_at, expires_at }: LeaseRow): Lease {
  const free = owner === null;
  return {
    kind,
    name,
    owner,
    token: describeToken(token),
    held,
    since: free ? null : time(acquired_at),
    expires_at: free ? null : time(expires_at),
  };
}

function changeView({ at, reason, owner, token, taken_from }: LeaseHistoryRow): LeaseChange {
  return { at: time(at), reason, owner, token: describeToken(token), taken_from };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
