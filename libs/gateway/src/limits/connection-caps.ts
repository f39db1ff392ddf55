import type { SharedPlaces } from '@tyrum/backplane';
import type { Logger } from '@tyrum/platform';

/** What a cap is kept for. */
export type CappedBy = 'address' | 'tenant' | 'device';

/** How many connections somebody may have at once. */
export interface Cap {
  readonly by: CappedBy;
  readonly id: string;
  readonly limit: number;
}

/** A connection that counts, until it is released. */
export type Place = { readonly full: CappedBy } | { readonly full?: undefined; release(): void };

/** How long a new connection may wait for the other edges' word, in ms. */
const ASK_MS = 150;
/** Places that were given back within this are told together, in ms. */
const TELL_MS = 10;

/**
 * Keeps connections within their caps: at this edge always, and together with the other edges while they share a Redis that
 * answers. Without its answer a connection is let in as this edge alone sees it, and nobody waits for it again before it has
 * answered a heartbeat: a cap that is overdrawn for a while is better than an edge that lets nobody in.
 */
export class ConnectionCaps {
  private readonly own = new Map<string, number>();
  /** Whose sums the others do not know yet. */
  private readonly changed = new Set<string>();
  /** The first heartbeat finds out. */
  private isShared = false;
  /** How often the others could not be told something. */
  private losses = 0;
  private telling: NodeJS.Timeout | undefined;

  /** @param shared absent: there is one edge, or each is for itself */
  constructor(
    private readonly logger: Logger,
    private readonly shared?: SharedPlaces,
  ) {}

  /** Whether the other edges' connections count now. */
  get counting(): 'alone' | 'together' {
    return this.isShared ? 'together' : 'alone';
  }

  /** Takes a place under each cap, or none and says which is full. Never rejects. */
  async take(caps: readonly Cap[]): Promise<Place> {
    const finite = caps.filter(({ limit }) => limit !== Infinity);
    const here = finite.find((cap) => this.count(cap) >= cap.limit);
    if (here) return { full: here.by };
    // Counted before anybody is asked, so that others who come meanwhile see it.
    for (const cap of finite) {
      this.own.set(keyOf(cap), this.count(cap) + 1);
      if (!this.isShared) this.note(cap);
    }
    const elsewhere = await this.ask(finite);
    if (elsewhere) {
      this.release(finite);
      return { full: elsewhere.by };
    }
    let isHeld = true;
    const release = (): void => {
      if (isHeld) this.release(finite);
      isHeld = false;
    };
    return { release };
  }

  /** Says to the others that this edge lives, and tells them everything where that is not known. Never rejects. */
  async keep(): Promise<void> {
    if (!this.shared) return;
    const { losses } = this;
    try {
      // While it was away, changes went untold.
      if (!(this.isShared && (await this.shared.keep()))) await this.tellAll(this.shared);
      // Something went untold meanwhile: the next time tells everything.
      if (losses !== this.losses) return;
      if (!this.isShared) this.logger.info('caps on connections are kept together with the other edges');
      this.isShared = true;
      // What came and went while everything was being told.
      if (this.changed.size > 0) await this.tell();
    } catch (error) {
      this.lost(error);
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.telling);
    // What is still open ends with this process, and counts against nobody any more.
    await this.shared?.tellAll([]).catch(() => undefined);
    await this.shared?.close();
  }

  private count(cap: Cap): number {
    return this.own.get(keyOf(cap)) ?? 0;
  }

  private async ask(caps: readonly Cap[]): Promise<Cap | undefined> {
    if (!this.shared || !this.isShared || caps.length === 0) return undefined;
    const wanted = caps.map((cap) => ({ name: keyOf(cap), own: this.count(cap), limit: cap.limit }));
    try {
      const full = await within(ASK_MS, this.shared.take(wanted));
      return full === undefined ? undefined : caps[full];
    } catch (error) {
      this.lost(error);
      return undefined;
    }
  }

  private release(caps: readonly Cap[]): void {
    for (const cap of caps) {
      const left = this.count(cap) - 1;
      if (left > 0) this.own.set(keyOf(cap), left);
      else this.own.delete(keyOf(cap));
      this.note(cap);
    }
    if (this.isShared) this.telling ??= setTimeout(() => void this.tell(), TELL_MS).unref();
  }

  /** While nobody hears it, the set lasts until the next heartbeat tries to tell everything. */
  private note(cap: Cap): void {
    if (this.shared) this.changed.add(keyOf(cap));
  }

  private async tell(): Promise<void> {
    clearTimeout(this.telling);
    this.telling = undefined;
    const changed = [...this.changed].map((name) => ({ name, own: this.own.get(name) ?? 0 }));
    this.changed.clear();
    await this.shared?.tell(changed).catch((error: unknown) => this.lost(error));
  }

  private async tellAll(shared: SharedPlaces): Promise<void> {
    this.changed.clear();
    await shared.tellAll([...this.own].map(([name, own]) => ({ name, own })));
  }

  private lost(error: unknown): void {
    if (this.isShared) this.logger.warn({ err: error }, 'caps on connections are kept by this edge alone');
    this.isShared = false;
    this.losses += 1;
  }
}

function keyOf({ by, id }: Cap): string {
  return `${by}:${id}`;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
