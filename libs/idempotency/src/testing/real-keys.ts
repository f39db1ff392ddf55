import type { StateStore, Tx } from '@tyrum/statestore';
import { act, type Act, type Real } from '@tyrum/statestore/testing';
import fc from 'fast-check';
import { IdempotencyLedger, type IdempotencyKey, type Reservation } from '../idempotency-ledger';
import { TwoPhaseLedger } from '../two-phase-ledger';
import {
  Attempts,
  type Answer,
  type Asked,
  type Attempt,
  type IdempotencyModel,
  type Key,
  type Route,
} from './idempotency-model';

const sql = (name: string, postgres: string) => ({ name, postgres, sqlite: postgres.replaceAll('$', '?') });
const createEffects = sql('create-effects', 'create table if not exists effect (word bigint)');
const forgetEffects = sql('forget-effects', 'delete from effect');
const forgetKeys = sql('forget-keys', 'delete from idempotency_record');
const insertEffect = sql('insert-effect', 'insert into effect (word) values ($1)');
const listEffects = sql('list-effects', 'select word from effect order by word');
const expireKey = sql(
  'expire-key',
  'update idempotency_record set expires_at = $4 where tenant_id = $1 and route = $2 and key = $3',
);
// A record that is good has its time far ahead; one whose time is up has it at 1, 2, 3, …
const listKeys = sql(
  'list-keys',
  `select tenant_id, route, key, fingerprint, owner, response, expires_at from idempotency_record
    order by route, tenant_id, key`,
);

class Crash extends Error {}

/** Keys in a database, used by two processes. */
export class RealKeys implements Real {
  private readonly attempts = new Attempts();
  private readonly ledger = new IdempotencyLedger();
  private expiries = 0;

  private constructor(
    private readonly store: StateStore,
    private readonly other: StateStore,
  ) {}

  static async begin(store: StateStore, other: StateStore): Promise<RealKeys> {
    for (const statement of [createEffects, forgetEffects, forgetKeys]) await store.execute(statement);
    return new RealKeys(store, other);
  }

  async seen(): Promise<unknown> {
    type Row = Record<'tenant_id' | 'route' | 'key' | 'fingerprint', string> & {
      owner: string | null;
      response: string | null;
      expires_at: number;
    };
    const rows = await this.store.read((db) => db.query<Row>(listKeys));
    const effects = await this.store.read((db) => db.query<{ word: number }>(listEffects));
    return {
      entries: rows.map((row) => ({
        route: row.route,
        tenant: Number(row.tenant_id.at(-1)),
        key: row.key,
        payload: row.fingerprint,
        owner: row.owner,
        word: row.response === null ? null : wordOf(JSON.parse(row.response) as object),
        expired: row.expires_at <= this.expiries,
      })),
      effects: effects.map(({ word }) => word),
    };
  }

  once(asked: Asked, fails: boolean, meanwhile: (tx: Tx) => Promise<void> = async () => {}): Promise<Answer> {
    return this.runOnce(this.store, asked, async (tx) => {
      await tx.query(insertEffect, [asked.word]);
      await meanwhile(tx);
      if (fails) throw new Crash();
    });
  }

  /** The second comes while the first one's transaction is open, if that one has anything to do. */
  async overlap(first: Asked, fails: boolean, second: Asked): Promise<Answer[]> {
    const comes = () => this.runOnce(this.other, second, (tx) => tx.query(insertEffect, [second.word]));
    let coming: Promise<Answer> | undefined;
    const answer = await this.once(first, fails, async (tx) => {
      coming = comes();
      for (let i = 0; i < 3; i += 1) await tx.query(listEffects);
    });
    return [answer, await (coming ?? comes())];
  }

  async reserve(asked: readonly Asked[], fails: boolean): Promise<Answer[] | 'crashed'> {
    const requests = asked.map((one) => ({ ...keyOf('once', one), response: JSON.stringify({ word: one.word }) }));
    return crashing(async () => {
      const reservations = await this.store.transaction(async (tx) => {
        const reserved = await this.ledger.reserveAll(tx, requests);
        if (fails) throw new Crash();
        return reserved;
      });
      return reservations.map(toAnswer);
    });
  }

  async begin(asked: Asked, attempt: Attempt): Promise<Answer> {
    const owner = this.attempts.begin({ ...attempt, tenant: asked.tenant, key: asked.key });
    const beginning = await this.phases().begin(keyOf('phases', asked), owner);
    return beginning.kind === 'replay' ? { kind: 'replay', word: wordOf(beginning.response) } : beginning;
  }

  complete(attempt: Attempt, word: number, fails: boolean): Promise<boolean | 'crashed'> {
    return crashing(() =>
      this.store.transaction(async (tx) => {
        const owner = this.attempts.name(attempt);
        const completed = await this.phases().complete(tx, keyOf('phases', attempt), owner, { word });
        if (fails) throw new Crash();
        return completed;
      }),
    );
  }

  abandon(attempt: Attempt): Promise<boolean> {
    return this.phases().abandon(keyOf('phases', attempt), this.attempts.name(attempt));
  }

  async expire(route: Route, key: Key): Promise<void> {
    this.expiries += 1;
    await this.store.execute(expireKey, [tenantOf(key), route, key.key, this.expiries]);
  }

  prune(limit: number): Promise<number> {
    return this.ledger.prune(this.store, limit);
  }

  private phases(): TwoPhaseLedger {
    return new TwoPhaseLedger(this.other, { holdMs: 600_000 });
  }

  private async runOnce(store: StateStore, asked: Asked, work: (tx: Tx) => Promise<unknown>): Promise<Answer> {
    const outcome = await crashing(() =>
      this.ledger.runOnce(store, keyOf('once', asked), async (tx) => {
        await work(tx);
        return { word: asked.word };
      }),
    );
    if (outcome === 'crashed') return { kind: 'crashed' };
    if (outcome.kind === 'conflict') return outcome;
    return { kind: outcome.replayed ? 'replay' : 'done', word: outcome.response.word };
  }
}

async function crashing<T>(work: () => Promise<T>): Promise<T | 'crashed'> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Crash) return 'crashed';
    throw error;
  }
}

function toAnswer(reservation: Reservation): Answer {
  if (reservation.kind === 'conflict') return { kind: 'conflict' };
  const word = wordOf(JSON.parse(reservation.response) as object);
  return { kind: reservation.kind === 'fresh' ? 'done' : 'replay', word };
}

function wordOf(response: object): number {
  return (response as { word: number }).word;
}

function tenantOf({ tenant }: Key): string {
  return `00000000-0000-4000-8000-00000000000${tenant}`;
}

function keyOf(route: Route, asked: Key & { readonly payload?: string }): IdempotencyKey {
  return { tenantId: tenantOf(asked), route, principal: 'device', key: asked.key, fingerprint: asked.payload ?? '' };
}

const place = { tenant: fc.constantFrom(1 as const, 2 as const), key: fc.constantFrom('k' as const, 'l' as const) };
const asked = fc.record({ ...place, payload: fc.constantFrom('p' as const, 'q' as const), word: fc.nat(999) });
const attempt = fc.record({ ...place, caller: fc.constantFrom('a' as const, 'b' as const), age: fc.nat(1) });
const fails = fc.boolean();
const route = fc.constantFrom<Route>('once', 'phases');

export const IDEMPOTENCY_ACTS: readonly Act<IdempotencyModel, RealKeys>[] = [
  act('once', fc.record({ asked, fails }), {
    expected: (model, a) => model.once(a.asked, a.fails),
    actual: (real, a) => real.once(a.asked, a.fails),
  }),
  act('overlap', fc.record({ first: asked, fails, second: asked }), {
    expected: (model, a) => model.overlap(a.first, a.fails, a.second),
    actual: (real, a) => real.overlap(a.first, a.fails, a.second),
  }),
  act('reserve', fc.record({ asked: fc.array(asked, { maxLength: 4 }), fails }), {
    expected: (model, a) => model.reserve(a.asked, a.fails),
    actual: (real, a) => real.reserve(a.asked, a.fails),
  }),
  act('begin', fc.record({ asked, attempt }), {
    expected: (model, a) => model.begin(a.asked, a.attempt),
    actual: (real, a) => real.begin(a.asked, a.attempt),
  }),
  act('complete', fc.record({ attempt, word: fc.nat(999), fails }), {
    expected: (model, a) => model.complete(a.attempt, a.word, a.fails),
    actual: (real, a) => real.complete(a.attempt, a.word, a.fails),
  }),
  act('abandon', attempt, { expected: (model, a) => model.abandon(a), actual: (real, a) => real.abandon(a) }),
  act('expire', fc.record({ route, ...place }), {
    expected: (model, a) => model.expire(a.route, a),
    actual: (real, a) => real.expire(a.route, a),
  }),
  act('prune', fc.integer({ min: 1, max: 3 }), {
    expected: (model, limit) => model.prune(limit),
    actual: (real, limit) => real.prune(limit),
  }),
];
