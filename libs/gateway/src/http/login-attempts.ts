import type { LoginAttempt } from '@tyrum/identity';
import { openAnswer, sealAnswer, type Seal } from './sealed-answer';

/** What a browser keeps while its user is at the provider. */
export interface KeptAttempt {
  readonly attempt: LoginAttempt;
  /** Where it goes on afterwards; one of our own places. */
  readonly returnTo: string;
}

/** How long a log-in may take, in ms. */
export const ATTEMPT_MS = 10 * 60_000;

/**
 * Log-ins under way, kept by the browsers themselves: sealed under a key that follows from the secret all edges share with the
 * provider, so that one may end at another edge than it began at, and nobody reads or makes up one.
 */
export class LoginAttempts {
  private readonly seal: Seal;

  constructor(
    secret: string,
    private readonly nowMs: () => number,
  ) {
    this.seal = { token: secret, context: 'oidc log-in' };
  }

  keep(kept: KeptAttempt): string {
    return sealAnswer(this.seal, { ...kept, until: this.nowMs() + ATTEMPT_MS });
  }

  /** Undefined for what is not ours, and for what took too long. */
  find(text: string | undefined): KeptAttempt | undefined {
    const found = text === undefined ? undefined : openAnswer(this.seal, text);
    const kept = found as (KeptAttempt & { readonly until: number }) | undefined;
    return kept && kept.until > this.nowMs() ? kept : undefined;
  }
}

/**
 * Where a log-in goes on: a path of the edge's own address, or an address of an allowed origin. Anything else would lend our
 * name to somebody else's page.
 * @param origins the first one is what paths are of
 * @returns undefined for anywhere else
 */
export function returnPlace(wish: string, origins: readonly string[]): string | undefined {
  // Browsers drop some characters and turn others around before they read a URL; none of these is in one that is meant.
  // eslint-disable-next-line no-control-regex
  if (/[\x00-\x20\\]/.test(wish) || !URL.canParse(wish, origins[0])) return undefined;
  const url = new URL(wish, origins[0]);
  if (url.username !== '' || url.password !== '') return undefined;
  return origins.includes(url.origin) ? url.href : undefined;
}
