import type { Model } from '@tyrum/statestore/testing';

/** `once`: the record and its work are one commit. `phases`: begun, then completed or abandoned. */
export type Route = 'once' | 'phases';

export interface Key {
  readonly tenant: 1 | 2;
  readonly key: 'k' | 'l';
}

/** A request: what is asked under which key, and the word it would be answered with. */
export interface Asked extends Key {
  readonly payload: 'p' | 'q';
  readonly word: number;
}

/** Which of its attempts a caller means: `age` of them ago, 0 being the newest. */
export interface Attempt extends Key {
  readonly caller: 'a' | 'b';
  readonly age: number;
}

export type Answer =
  | { readonly kind: 'done' | 'replay'; readonly word: number | null }
  | { readonly kind: 'conflict' | 'crashed' | 'started' | 'in_flight' };

interface Entry extends Key {
  readonly route: Route;
  readonly payload: string;
  readonly owner: string | null;
  readonly word: number | null;
  /** When its time was up, in the order in which that happened; undefined while it is good. */
  expired: number | undefined;
}

/** Every attempt a caller ever began, under a name of its own. */
export class Attempts {
  private readonly names = new Map<string, string[]>();

  begin({ tenant, key, caller }: Attempt): string {
    const all = this.names.get(`${tenant}${key}${caller}`) ?? [];
    const name = `${caller}${all.length + 1}`;
    this.names.set(`${tenant}${key}${caller}`, [...all, name]);
    return name;
  }

  name({ tenant, key, caller, age }: Attempt): string {
    return this.names.get(`${tenant}${key}${caller}`)?.at(-1 - age) ?? 'nobody';
  }
}

/** What an idempotency key is, without a database. */
export class IdempotencyModel implements Model {
  private readonly attempts = new Attempts();
  private entries: Entry[] = [];
  private readonly effects: number[] = [];
  private expiries = 0;

  seen(): unknown {
    const name = (entry: Entry) => `${entry.route}/${entry.tenant}/${entry.key}`;
    return {
      entries: [...this.entries]
        .sort((a, b) => name(a).localeCompare(name(b)))
        .map(({ expired, ...entry }) => ({ ...entry, expired: expired !== undefined })),
      // Two that overlap under different keys happen in either order.
      effects: [...this.effects].sort((a, b) => a - b),
    };
  }

  /** Free, the request is done, unless it crashes on the way; taken, it gets what the first one got. */
  once({ word, ...asked }: Asked, fails: boolean): Answer {
    const known = this.live('once', asked);
    if (known) return known.payload === asked.payload ? { kind: 'replay', word: known.word } : { kind: 'conflict' };
    if (fails) return { kind: 'crashed' };
    this.put({ ...asked, route: 'once', owner: null, word, expired: undefined });
    this.effects.push(word);
    return { kind: 'done', word };
  }

  /** Whoever comes while another is under way gets what that one leaves. */
  overlap(first: Asked, fails: boolean, second: Asked): Answer[] {
    return [this.once(first, fails), this.once(second, false)];
  }

  /** Many at once with ready answers; copies within the list are copies. */
  reserve(asked: readonly Asked[], fails: boolean): Answer[] | 'crashed' {
    const before = [...this.entries];
    const answers = asked.map(({ word, ...one }): Answer => {
      const known = this.live('once', one);
      if (known) return known.payload === one.payload ? { kind: 'replay', word: known.word } : { kind: 'conflict' };
      this.put({ ...one, route: 'once', owner: null, word, expired: undefined });
      return { kind: 'done', word };
    });
    if (!fails) return answers;
    this.entries = before;
    return 'crashed';
  }

  begin({ word: _word, ...asked }: Asked, attempt: Attempt): Answer {
    const owner = this.attempts.begin({ ...attempt, tenant: asked.tenant, key: asked.key });
    const known = this.live('phases', asked);
    if (!known) {
      this.put({ ...asked, route: 'phases', owner, word: null, expired: undefined });
      return { kind: 'started' };
    }
    if (known.payload !== asked.payload) return { kind: 'conflict' };
    return known.word === null ? { kind: 'in_flight' } : { kind: 'replay', word: known.word };
  }

  /** Completes what is still the attempt's own, whether its time is up or not. */
  complete(attempt: Attempt, word: number, fails: boolean): boolean | 'crashed' {
    const own = this.own(attempt);
    if (fails) return 'crashed';
    if (own) this.put({ ...own, owner: null, word, expired: undefined });
    return own !== undefined;
  }

  abandon(attempt: Attempt): boolean {
    const own = this.own(attempt);
    this.entries = this.entries.filter((entry) => entry !== own);
    return own !== undefined;
  }

  expire(route: Route, key: Key): void {
    const entry = this.find(route, key);
    this.expiries += 1;
    if (entry) entry.expired = this.expiries;
  }

  prune(limit: number): number {
    const expired = this.entries
      .filter((entry) => entry.expired !== undefined)
      .sort((a, b) => (a.expired ?? 0) - (b.expired ?? 0))
      .slice(0, limit);
    this.entries = this.entries.filter((entry) => !expired.includes(entry));
    return expired.length;
  }

  private own(attempt: Attempt): Entry | undefined {
    const entry = this.find('phases', attempt);
    return entry?.owner === this.attempts.name(attempt) ? entry : undefined;
  }

  private live(route: Route, key: Key): Entry | undefined {
    const entry = this.find(route, key);
    return entry?.expired === undefined ? entry : undefined;
  }

  private find(route: Route, { tenant, key }: Key): Entry | undefined {
    return this.entries.find((entry) => entry.route === route && entry.tenant === tenant && entry.key === key);
  }

  private put(entry: Entry): void {
    const old = this.find(entry.route, entry);
    this.entries = [...this.entries.filter((other) => other !== old), entry];
  }
}
