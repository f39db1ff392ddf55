import { randomUUID } from 'node:crypto';
import { CLAIM_AGENTS, CLAIM_MOST } from './sql/claim-conversations';

/** What a claim says about the place in the ring that a conversation came from; null where it was a takeover. */
export interface RingPlace {
  readonly tenant_id: string;
  readonly place: number | null;
  readonly pass: number | null;
  /** Agents of the tenant the claim looked at, and the last of them. */
  readonly agents: number | null;
  readonly last_agent: string | null;
  readonly more: boolean | number;
  readonly capped: boolean | number;
}

/** Where something is due. */
export interface DueLane {
  readonly tenantId: string;
  /** The agent of the tenant that comes before the one it is due for; absent: none does. */
  readonly agentBefore?: string;
}

/** Tenants with more agents than one claim looks at, remembered at the most. */
const MAX_LONG_TENANTS = 1_000;
/** Claims that go round at once, after others hoped in vain, at the most. */
const MAX_ROUNDS = 63;

/**
 * Where a claimant is on its round of the tenants. Only a hint that makes the rounds fair: a process that starts anew
 * begins anywhere, and every process goes its own round.
 */
export class ClaimRing {
  private longTenants = new Map<string, string>();
  private usedWeight = 0;
  /** The last claim left something behind that another one would get at once. */
  more = false;
  /** Shares have caps, as far as is known: a claim may leave something behind for want of a place under one. */
  capped = false;

  /** Claims that are yet to go round before one hopes for all again; how many they were the last time. */
  private rounds = 0;
  private lastRounds = 0;

  constructor(private tenantId: string = randomUUID()) {}

  /** Nothing is known to be in the way: the next claim may hope to take all that is due, in no order. */
  get hopes(): boolean {
    return !this.more && !this.capped && this.rounds === 0;
  }

  /** A claim took all that was due. */
  tookAll(): void {
    this.more = this.capped = false;
    this.lastRounds = 0;
  }

  /** A claim that hoped for all took nothing: the next ones go round, more of them each time. */
  hopedInVain(): void {
    this.more = true;
    this.rounds = this.lastRounds = Math.min(2 * this.lastRounds + 1, MAX_ROUNDS);
  }

  /** The claim statement's parameters about the ring. */
  get params(): [string, number, string] {
    return [this.tenantId, this.usedWeight, JSON.stringify(Object.fromEntries(this.longTenants))];
  }

  /** Moves on behind what a claim for `limit` conversations got. */
  advance(rows: readonly RingPlace[], limit: number): void {
    if (this.rounds > 0) this.rounds -= 1;
    this.more = rows.length >= Math.min(limit, CLAIM_MOST) || rows.some((row) => Boolean(row.more));
    if (rows.length > 0) this.capped = rows.some((row) => Boolean(row.capped));
    for (const { tenant_id, agents, last_agent } of rows) {
      this.longTenants.delete(tenant_id);
      if (agents === CLAIM_AGENTS && last_agent !== null && this.longTenants.size < MAX_LONG_TENANTS) {
        this.longTenants.set(tenant_id, last_agent);
      }
    }
    const served = rows.filter((row) => row.place !== null && Number(row.pass) === 0);
    const last = served.reduce<RingPlace | undefined>((a, b) => ((a?.place ?? 0) > (b.place ?? 0) ? a : b), undefined);
    if (!last) return;
    const had = last.tenant_id === this.tenantId ? this.usedWeight : 0;
    this.usedWeight = had + served.filter((row) => row.tenant_id === last.tenant_id).length;
    this.tenantId = last.tenant_id;
  }

  /** Goes on elsewhere, at this lane or anywhere: something is due, but not where the last claim looked. */
  jump(lane?: DueLane): void {
    this.tenantId = lane?.tenantId ?? randomUUID();
    this.usedWeight = 0;
    this.longTenants.clear();
    if (lane?.agentBefore !== undefined) this.longTenants.set(lane.tenantId, lane.agentBefore);
  }
}
