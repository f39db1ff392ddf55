import type { StateStore } from '@tyrum/statestore';
import { act, type Act, type Model, type Real } from '@tyrum/statestore/testing';
import fc from 'fast-check';
import { Leases, type HeldLease } from '../leases';
import { expireLease } from './expire-lease';

const OWNERS = ['a', 'b', 'c'] as const;
const NAMES = ['x', 'y'] as const;
const KIND = 'model';
const TTL_MS = 600_000;

type Owner = (typeof OWNERS)[number];
type Name = (typeof NAMES)[number];

interface Entry {
  readonly name: Name;
  readonly token: number;
  readonly owner: string;
  readonly taken_from: string | null;
  readonly reason: string;
}

/** Which of its own tokens an owner uses: `age` of them ago, 0 being the newest it was given. */
interface OldToken {
  readonly name: Name;
  readonly owner: Owner;
  readonly age: number;
}

/** Every token an owner was ever given, as a holder remembers them that does not know what happened since. */
class Memory {
  private readonly given = new Map<string, number[]>();

  note(owner: Owner, name: Name, token: number): void {
    this.given.set(`${owner}/${name}`, [...(this.given.get(`${owner}/${name}`) ?? []), token]);
  }

  token({ owner, name, age }: OldToken): number {
    return this.given.get(`${owner}/${name}`)?.at(-1 - age) ?? 0;
  }
}

/** What a lease is, without a database: an owner, a token that only grows, and whether its time is up. */
export class LeaseModel implements Model {
  private readonly memory = new Memory();
  private readonly leases = new Map<Name, { owner: Owner | null; token: number; expired: boolean }>();
  private history: Entry[] = [];
  private readonly written: { name: Name; token: number }[] = [];

  seen(): unknown {
    return {
      leases: [...this.leases]
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([name, { owner, token, expired }]) => ({ name, owner, token, held: owner !== null && !expired })),
      history: NAMES.map((name) => this.history.filter((entry) => entry.name === name).reverse()),
      written: this.written,
    };
  }

  acquire(owner: Owner, name: Name): number | undefined {
    const before = this.leases.get(name) ?? { owner: null, token: 0, expired: true };
    if (before.owner !== null && before.owner !== owner && !before.expired) return undefined;
    const token = before.token + 1;
    const reason = before.owner === null || before.owner === owner ? 'acquired' : 'taken_over';
    this.leases.set(name, { owner, token, expired: false });
    this.history.push({ name, token, owner, taken_from: before.owner, reason });
    this.memory.note(owner, name, token);
    return token;
  }

  /** An expired lease that nobody has taken is still its owner's. */
  holds(use: OldToken): boolean {
    const lease = this.leases.get(use.name);
    return lease !== undefined && lease.owner !== null && lease.token === this.memory.token(use);
  }

  renew(owner: Owner, uses: readonly OldToken[]): boolean[] {
    const held = uses.map((use) => this.holds(use) && this.leases.get(use.name)?.owner === owner);
    uses.forEach(({ name }, i) => {
      const lease = this.leases.get(name);
      if (held[i] && lease) lease.expired = false;
    });
    return held;
  }

  release(use: OldToken): void {
    const lease = this.leases.get(use.name);
    if (!lease || !this.holds(use)) return;
    const { name } = use;
    this.history.push({ name, token: lease.token, owner: lease.owner ?? '', taken_from: null, reason: 'released' });
    Object.assign(lease, { owner: null, expired: true });
  }

  write(use: OldToken): boolean {
    if (!this.holds(use)) return false;
    this.written.push({ name: use.name, token: this.memory.token(use) });
    return true;
  }

  expire(name: Name): void {
    const lease = this.leases.get(name);
    if (lease) lease.expired = true;
  }

  prune(limit: number): number {
    return this.history.splice(0, limit).length;
  }
}

const sql = (name: string, postgres: string) => ({ name, postgres, sqlite: postgres.replaceAll('$', '?') });
const createWritten = sql('create-written', 'create table if not exists written (name text, token bigint)');
const forgetWritten = sql('forget-written', 'delete from written');
const forgetLeases = sql('forget-leases', `delete from lease where kind = '${KIND}'`);
const forgetHistory = sql('forget-history', 'delete from lease_history');
const insertWritten = sql('insert-written', 'insert into written (name, token) values ($1, $2)');
const listWritten = sql('list-written', 'select name, token from written');
/** Entries of the same millisecond have no order by age; by their ids they have. */
const ageByOrder = sql('age-by-order', 'update lease_history set at = id');

/** The leases of a database, used by three owners through stores of their own. */
export class RealLeases implements Real {
  private readonly memory = new Memory();

  private constructor(private readonly stores: readonly StateStore[]) {}

  static async begin(stores: readonly StateStore[]): Promise<RealLeases> {
    const [store] = stores;
    for (const statement of [createWritten, forgetWritten, forgetLeases, forgetHistory])
      await store?.execute(statement);
    return new RealLeases(stores);
  }

  async seen(): Promise<unknown> {
    const leases = this.of('a');
    const rows = await leases.list(KIND);
    const history = await Promise.all(NAMES.map((name) => leases.history({ kind: KIND, name }, 1_000)));
    return {
      leases: rows.map(({ name, owner, token, held }) => ({ name, owner, token, held })),
      history: history.map((entries, i) =>
        entries.map(({ id: _id, at: _at, ...entry }) => ({ name: NAMES[i], ...entry })),
      ),
      written: await this.store('a').read((db) => db.query(listWritten)),
    };
  }

  async acquire(owner: Owner, name: Name): Promise<number | undefined> {
    const lease = await this.of(owner).acquire({ kind: KIND, name }, owner, TTL_MS);
    if (lease) this.memory.note(owner, name, lease.token);
    return lease?.token;
  }

  renew(owner: Owner, uses: readonly OldToken[]): Promise<boolean[]> {
    return this.of(owner).renewAll(
      uses.map((use) => this.lease(use)),
      owner,
      TTL_MS,
    );
  }

  release(use: OldToken): Promise<void> {
    return this.of(use.owner).release(this.lease(use));
  }

  /** What every holder does: asks for its lease in the transaction of its write. */
  write(use: OldToken): Promise<boolean> {
    return this.store(use.owner).transaction(async (tx) => {
      const lease = this.lease(use);
      if (!(await this.of(use.owner).isHeld(tx, lease))) return false;
      await tx.query(insertWritten, [lease.name, lease.token]);
      return true;
    });
  }

  expire(name: Name): Promise<void> {
    return expireLease(this.store('a'), { kind: KIND, name });
  }

  async prune(limit: number): Promise<number> {
    await this.store('a').execute(ageByOrder);
    return this.of('a').pruneHistory(-TTL_MS, limit);
  }

  private lease(use: OldToken): HeldLease {
    return { kind: KIND, name: use.name, token: this.memory.token(use) };
  }

  private store(owner: Owner): StateStore {
    const store = this.stores[OWNERS.indexOf(owner) % this.stores.length];
    if (!store) throw new Error('there is a store for each owner');
    return store;
  }

  private of(owner: Owner): Leases {
    return new Leases(this.store(owner));
  }
}

const owner = fc.constantFrom(...OWNERS);
const name = fc.constantFrom(...NAMES);
const use = fc.record({ owner, name, age: fc.nat(2) });

export const LEASE_ACTS: readonly Act<LeaseModel, RealLeases>[] = [
  act('acquire', fc.record({ owner, name }), {
    expected: (model, a) => model.acquire(a.owner, a.name),
    actual: (real, a) => real.acquire(a.owner, a.name),
  }),
  act('renew', fc.record({ owner, uses: fc.uniqueArray(use, { selector: (u) => u.name, maxLength: 2 }) }), {
    expected: (model, a) => model.renew(a.owner, a.uses),
    actual: (real, a) => real.renew(a.owner, a.uses),
  }),
  act('release', use, { expected: (model, u) => model.release(u), actual: (real, u) => real.release(u) }),
  act('write', use, { expected: (model, u) => model.write(u), actual: (real, u) => real.write(u) }),
  act('expire', name, { expected: (model, n) => model.expire(n), actual: (real, n) => real.expire(n) }),
  act('prune', fc.integer({ min: 1, max: 5 }), {
    expected: (model, limit) => model.prune(limit),
    actual: (real, limit) => real.prune(limit),
  }),
];
