import { randomUUID } from 'node:crypto';
import { noteAudit } from '@tyrum/evidence';
import { isUniqueViolation, type StateStore, type Tx } from '@tyrum/statestore';
import { Tenants } from '@tyrum/statestore/records';
import { findSessions } from '../sql/find-sessions';
import type { TokenStore } from '../token-store';
import { grantOf, type Grant, type GroupRule } from './group-rules';
import {
  LoginRefusedError,
  ProviderUnavailableError,
  type LoggedIn,
  type LoginChallenge,
  type OidcClient,
} from './oidc-client';

/** A log-in that has begun. It is good for one session, at whichever edge it ends. */
export interface LoginAttempt extends LoginChallenge {
  /** The id that its session will have: two sessions of one attempt cannot be. */
  readonly id: string;
}

export interface Session {
  /** The access token of the session, for its cookie and nobody else. */
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

interface SessionRow {
  readonly tenant_id: string;
  readonly token_id: string;
  readonly role: string;
  readonly scopes: string;
}

/** Sessions of one person at once; a further one ends the oldest. */
export const MAX_SESSIONS_PER_SUBJECT = 20;
/** Log-ins of one edge that the provider is asked about at once: strangers must not make us hammer at it. */
export const MAX_LOGINS_UNDER_WAY = 64;
/** Who issues and ends sessions, in the audit. */
const OIDC = 'oidc';

/**
 * Makes sessions of log-ins at an OpenID provider. A session is an access token that expires; what it may do was decided by
 * the groups at its beginning. Whoever logs in with other groups than before ends the sessions that were begun with those.
 */
export class OidcLogins {
  private underWay = 0;

  constructor(
    private readonly ports: {
      readonly store: StateStore;
      readonly tokens: TokenStore;
      readonly client: Pick<OidcClient, 'begin' | 'finish'>;
    },
    private readonly rules: readonly GroupRule[],
    private readonly options: { readonly sessionMs: number; readonly nowMs?: () => number },
  ) {}

  /** Where to send the browser, and what it has to bring back. @throws {ProviderUnavailableError} */
  async begin(): Promise<{ url: string; attempt: LoginAttempt }> {
    const { url, challenge } = await this.ports.client.begin();
    return { url, attempt: { id: randomUUID(), ...challenge } };
  }

  /**
   * The session of who came back. @param query what the browser brought, as it is in the URL
   * @throws {LoginRefusedError} @throws {ProviderUnavailableError} @throws {StoreUnavailableError}
   */
  async finish(query: string, attempt: LoginAttempt): Promise<Session> {
    const who = await this.ask(query, attempt);
    const session = await this.ports.store
      .transaction((tx) => this.beginSession(tx, who, attempt.id))
      .catch((error: unknown) => {
        throw isUniqueViolation(error) ? new LoginRefusedError('oidc_code') : error;
      });
    if (!session) throw new LoginRefusedError('oidc_groups');
    return session;
  }

  private async ask(query: string, attempt: LoginAttempt): Promise<LoggedIn> {
    if (this.underWay >= MAX_LOGINS_UNDER_WAY) throw new ProviderUnavailableError('too many log-ins are under way');
    this.underWay += 1;
    try {
      return await this.ports.client.finish(query, attempt);
    } finally {
      this.underWay -= 1;
    }
  }

  /** Undefined = they are nothing here, and whatever sessions they had are over. */
  private async beginSession(tx: Tx, { subject, groups }: LoggedIn, tokenId: string): Promise<Session | undefined> {
    const grant = grantOf(this.rules, groups);
    const tenant = grant && (await tx.records(Tenants).findOneBy({ slug: grant.tenant }));
    const tenantId = tenant?.disabled_at === null ? tenant.tenant_id : undefined;
    await this.endOthers(tx, subject, tenantId === undefined ? undefined : { ...grant, tenantId });
    if (!grant || tenantId === undefined) return undefined;
    const expiresAt = this.now() + this.options.sessionMs;
    const { role, scopes } = grant;
    const wish = { tenantId, role, scopes, label: 'session', subject, expiresAt, tokenId, actor: OIDC };
    const { token } = await this.ports.tokens.issueIn(tx, wish);
    await noteAudit(tx, [{ tenantId, type: 'session.begun', actor: `token:${tokenId}`, detail: { by: OIDC } }]);
    return { token, expiresAt };
  }

  /** Ends the subject's sessions that may do something else than `kept`, and the oldest where there would be too many. */
  private async endOthers(
    tx: Tx,
    subject: string,
    kept: (Partial<Grant> & { readonly tenantId: string }) | undefined,
  ): Promise<void> {
    const rows = await tx.query<SessionRow>(findSessions, [subject, this.now()]);
    const isAlike = (row: SessionRow): boolean =>
      row.tenant_id === kept?.tenantId && row.role === kept.role && sameScopes(row.scopes, kept.scopes ?? []);
    const alike = rows.filter(isAlike).slice(0, MAX_SESSIONS_PER_SUBJECT - 1);
    for (const row of rows) {
      if (!alike.includes(row)) await this.ports.tokens.revokeIn(tx, row.tenant_id, row.token_id, OIDC);
    }
  }

  private now(): number {
    return (this.options.nowMs ?? Date.now)();
  }
}

function sameScopes(json: string, scopes: readonly string[]): boolean {
  return JSON.stringify([...(JSON.parse(json) as string[])].sort()) === JSON.stringify([...scopes].sort());
}
