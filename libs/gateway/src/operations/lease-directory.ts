import { conversationLease, type LeaseHistoryRow, type LeaseRow, type Leases } from '@tyrum/leases';
import type { Lease, LeaseChange } from '@tyrum/protocol';
import { describeToken, type StateStore } from '@tyrum/statestore';
import type { ConversationLeaseRow, ConversationStore } from '@tyrum/statestore/turns';

const CONVERSATION = 'conversation';

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

  /** The tenant's conversations under a lease. */
  async ofTenant(tenantId: string, limit: number): Promise<Lease[]> {
    const rows = await this.store.read((db) => this.conversations.leases(db, tenantId, limit));
    return rows.map(conversationView);
  }

  /** What belongs to no tenant. */
  async ofDeployment(kind: string | undefined, limit: number): Promise<Lease[]> {
    return (await this.leases.list(kind, limit)).map(view);
  }

  /** Newest first. Undefined = there is no such lease, for that tenant. */
  async history(
    tenantId: string,
    { kind, name }: { kind: string; name: string },
    limit: number,
  ): Promise<LeaseChange[] | undefined> {
    if (!this.isOfTenants(kind)) {
      const history = await this.leases.history({ kind, name }, limit);
      // Retention takes the history of a lease that has not changed hands for long.
      const known = history.length > 0 || (await this.leases.list(kind)).some((lease) => lease.name === name);
      return known ? history.map(changeView) : undefined;
    }
    const ref = { tenantId, conversationKey: name };
    if (!(await this.store.read((db) => this.conversations.find(db, ref)))) return undefined;
    return (await this.leases.history(conversationLease(ref), limit)).map(changeView);
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
