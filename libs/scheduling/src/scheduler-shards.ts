import { LeaseKeeper, type HeldLease, type Leases } from '@tyrum/leases';

/*
 * Which schedules this process looks at. The shards are leases, and so are the seats by which the processes count each
 * other; there are as many seats as shards, because more processes would have nothing to do.
 *
 *     no seat ──a seat is free──▶ seated ──▶ holds up to ceil(shards / seats taken) shards, gives the rest back
 *
 * None of this is needed for correctness: it keeps processes from racing for the same rows. An instant goes off once
 * because of the compare-and-set on its schedule, whoever looks.
 */

export const SHARD_COUNT = 8;
export const SHARD_LEASE_KIND = 'scheduler-shard';
const HEX_DIGITS = '0123456789abcdef';

/** The lease name of a shard. */
export function shardName(shard: number): string {
  return `shard-${shard}`;
}

/** The shard of a schedule: two of the sixteen first digits an id can have. */
export function shardOf(scheduleId: string): number {
  return HEX_DIGITS.indexOf(scheduleId.charAt(0)) % SHARD_COUNT;
}

/** The shards this process holds, and its part in sharing them out. */
export class SchedulerShards {
  private readonly keeper: LeaseKeeper;

  constructor(
    private readonly leases: Leases,
    options: { readonly owner: string; readonly ttlMs: number; readonly onError: (error: unknown) => void },
  ) {
    this.keeper = new LeaseKeeper(leases, options);
  }

  /** The lease of each shard held now. */
  get held(): ReadonlyMap<number, HeldLease> {
    const names = new Map(this.keeper.held.map((lease) => [lease.name, lease]));
    const shards = Array.from({ length: SHARD_COUNT }, (_, shard) => [shard, names.get(shardName(shard))] as const);
    return new Map(shards.filter((entry): entry is [number, HeldLease] => entry[1] !== undefined));
  }

  /** The first digits of the ids in those shards. */
  get digits(): string {
    return [...this.held.keys()].flatMap((s) => [HEX_DIGITS.charAt(s), HEX_DIGITS.charAt(s + SHARD_COUNT)]).join('');
  }

  /** Takes free shards up to this process's fair part and gives back what is more. */
  async balance(): Promise<void> {
    const rows = await this.leases.list(SHARD_LEASE_KIND);
    const taken = new Set(rows.filter((row) => row.held).map((row) => row.name));
    if (!(await this.takeSeat(taken))) return;
    const seats = Array.from({ length: SHARD_COUNT }, (_, i) => seatName(i)).filter((name) => taken.has(name)).length;
    const share = Math.ceil(SHARD_COUNT / seats);
    const mine = [...this.held.keys()];
    for (const shard of mine.slice(share)) await this.keeper.release(nameOf(shardName(shard)));
    let missing = share - mine.length;
    for (let shard = 0; shard < SHARD_COUNT && missing > 0; shard += 1) {
      if (taken.has(shardName(shard))) continue;
      if (await this.keeper.acquire(nameOf(shardName(shard)))) missing -= 1;
    }
  }

  /** Gives everything back. */
  close(): Promise<void> {
    return this.keeper.close();
  }

  /** Sees to it that this process is counted, and counts it. False = there is no free seat. */
  private async takeSeat(taken: Set<string>): Promise<boolean> {
    if (this.keeper.held.some(({ name }) => name.startsWith('seat-'))) return true;
    for (let seat = 0; seat < SHARD_COUNT; seat += 1) {
      const name = seatName(seat);
      if (taken.has(name) || !(await this.keeper.acquire(nameOf(name)))) continue;
      taken.add(name);
      return true;
    }
    return false;
  }
}

function seatName(seat: number): string {
  return `seat-${seat}`;
}

function nameOf(name: string): { kind: string; name: string } {
  return { kind: SHARD_LEASE_KIND, name };
}
